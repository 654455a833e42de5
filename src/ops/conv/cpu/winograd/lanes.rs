//! Sixteen values at a time, in the vectors that are there: the maps are written once over this.

use crate::ops::{gemm::Kernel, vector::widest};

/// How many values.
pub(super) const LANES: usize = 16;

/// Sixteen values.
pub(super) trait Lanes: Copy {
    /// The values at an address.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn load(address: *const f32) -> Self;

    /// Writes the values.
    ///
    /// # Safety
    /// They can be written.
    unsafe fn store(self, address: *mut f32);

    /// Has memory brought near that will soon be read or written; any address will do.
    fn fetch(address: *const f32);

    /// The first, the second and so on of the values of sixteen tiles of 2 or 4 that follow each other; the values lie sixteen at a time at
    /// these addresses.
    ///
    /// # Safety
    /// All of them can be read.
    unsafe fn take_apart<const TILE: usize>(addresses: [*const f32; TILE]) -> [Self; TILE];

    /// The inverse of [`take_apart`](Lanes::take_apart).
    ///
    /// # Safety
    /// All of them can be written.
    unsafe fn put_together<const TILE: usize>(columns: [Self; TILE], address: *mut f32);

    /// The same value sixteen times.
    fn all(value: f32) -> Self;

    /// The values whose bits are set, the others 0.
    fn keep(self, mask: u16) -> Self;

    fn plus(self, other: Self) -> Self;

    fn minus(self, other: Self) -> Self;

    fn times(self, factor: f32) -> Self;

    /// `self + factor · other`, rounded once.
    fn plus_times(self, factor: f32, other: Self) -> Self;
}

/// What `value` gives for each point of an axis.
#[inline(always)]
pub(super) fn at_each<L: Lanes, const COUNT: usize>(value: impl Fn(usize) -> L) -> [L; COUNT] {
    let mut all = [L::all(0.0); COUNT];
    for (point, lanes) in all.iter_mut().enumerate() {
        *lanes = value(point);
    }
    all
}

/// Something to be done with [`Lanes`]; `run` is to be `#[inline(always)]`.
pub(super) trait Task {
    /// Does it.
    fn run<L: Lanes>(self);
}

/// Does a task with the vectors of a kernel's instruction set.
#[inline]
pub(super) fn run(kernel: &Kernel, task: impl Task) {
    #[cfg(target_arch = "x86_64")]
    if kernel.name == "avx512" {
        #[target_feature(enable = "avx512f")]
        fn run_wide<T: Task>(task: T) {
            task.run::<wide::Wide>();
        }
        // SAFETY: a kernel is used only where its instructions exist.
        return unsafe { run_wide(task) };
    }
    let _ = kernel;
    widest(
        #[inline(always)]
        || task.run::<Plain>(),
    );
}

/// Lanes that the compiler turns into whatever vectors there are.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn with(self, other: Self, combine: impl Fn(f32, f32) -> f32) -> Self {
        let mut lanes = self.0;
        for (lane, other) in lanes.iter_mut().zip(other.0) {
            *lane = combine(*lane, other);
        }
        Plain(lanes)
    }
}

impl Lanes for Plain {
    #[inline(always)]
    unsafe fn load(address: *const f32) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { address.cast::<Plain>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, address: *mut f32) {
        // SAFETY: passed on to the caller.
        unsafe { address.cast::<Plain>().write_unaligned(self) }
    }

    #[inline(always)]
    fn fetch(_address: *const f32) {}

    #[inline(always)]
    unsafe fn take_apart<const TILE: usize>(addresses: [*const f32; TILE]) -> [Self; TILE] {
        // SAFETY: passed on to the caller.
        let values = addresses.map(|address| unsafe { address.cast::<[f32; LANES]>().read_unaligned() });
        let values = values.as_flattened();
        let mut columns = [[0.0; LANES]; TILE];
        for (column, lanes) in columns.iter_mut().enumerate() {
            for (lane, value) in lanes.iter_mut().enumerate() {
                *value = values[lane * TILE + column];
            }
        }
        columns.map(Plain)
    }

    #[inline(always)]
    unsafe fn put_together<const TILE: usize>(columns: [Self; TILE], address: *mut f32) {
        let mut values = [[0.0; TILE]; LANES];
        for (column, lanes) in columns.iter().enumerate() {
            for (value, tile) in lanes.0.iter().zip(&mut values) {
                tile[column] = *value;
            }
        }
        // SAFETY: passed on to the caller.
        unsafe { address.cast::<[[f32; TILE]; LANES]>().write_unaligned(values) }
    }

    #[inline(always)]
    fn all(value: f32) -> Self {
        Plain([value; LANES])
    }

    #[inline(always)]
    fn keep(self, mask: u16) -> Self {
        let mut lanes = self.0;
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value = if mask >> lane & 1 == 1 { *value } else { 0.0 };
        }
        Plain(lanes)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.with(
            other,
            #[inline(always)]
            |a, b| a + b,
        )
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.with(
            other,
            #[inline(always)]
            |a, b| a - b,
        )
    }

    #[inline(always)]
    fn times(self, factor: f32) -> Self {
        Plain(self.0.map(
            #[inline(always)]
            |value| value * factor,
        ))
    }

    #[inline(always)]
    fn plus_times(self, factor: f32, other: Self) -> Self {
        self.with(
            other,
            #[inline(always)]
            |a, b| b.mul_add(factor, a),
        )
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    //! AVX-512: the compiler takes sixteen lanes for two vectors of eight as soon as that looks better to it.

    use std::arch::x86_64::{
        __m512, _MM_HINT_T0, _mm_prefetch, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_mov_ps,
        _mm512_mul_ps, _mm512_permutex2var_ps, _mm512_set_epi32, _mm512_set1_ps, _mm512_shuffle_f32x4,
        _mm512_storeu_ps, _mm512_sub_ps,
    };

    use super::{LANES, Lanes};

    /// Sixteen values in one vector; there is one only where [`super::run`] found AVX-512.
    #[derive(Clone, Copy)]
    pub(super) struct Wide(__m512);

    /// Both halves of two vectors: the first, the second.
    const FIRST: i32 = 0x44;
    const SECOND: i32 = 0xEE;

    impl Lanes for Wide {
        #[inline(always)]
        unsafe fn load(address: *const f32) -> Self {
            // SAFETY: the caller vouches for the values, `run` for the instructions.
            Wide(unsafe { _mm512_loadu_ps(address) })
        }

        #[inline(always)]
        unsafe fn store(self, address: *mut f32) {
            // SAFETY: the same.
            unsafe { _mm512_storeu_ps(address, self.0) }
        }

        #[inline(always)]
        fn fetch(address: *const f32) {
            // SAFETY: nothing is read but into the caches, and that only where there is memory.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
        }

        #[inline(always)]
        unsafe fn take_apart<const TILE: usize>(addresses: [*const f32; TILE]) -> [Self; TILE] {
            let mut columns = [Self::all(0.0); TILE];
            // SAFETY: the caller vouches for the values, `run` for the instructions.
            unsafe {
                let values = addresses.map(
                    #[inline(always)]
                    |address| _mm512_loadu_ps(address),
                );
                match *values.as_slice() {
                    [a, b] => columns.copy_from_slice(&Wide::take_two_apart([a, b])),
                    [a, b, c, d] => columns.copy_from_slice(&Wide::take_four_apart([a, b, c, d])),
                    _ => unreachable!("tiles have 2 or 4 values along an axis"),
                }
            }
            columns
        }

        #[inline(always)]
        unsafe fn put_together<const TILE: usize>(columns: [Self; TILE], address: *mut f32) {
            // SAFETY: passed on to the caller.
            unsafe {
                match *columns.as_slice() {
                    [a, b] => Wide::put_two_together([a, b], address),
                    [a, b, c, d] => Wide::put_four_together([a, b, c, d], address),
                    _ => unreachable!("tiles have 2 or 4 values along an axis"),
                }
            }
        }

        #[inline(always)]
        fn all(value: f32) -> Self {
            // SAFETY: `run` vouches for the instructions.
            Wide(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        fn keep(self, mask: u16) -> Self {
            // SAFETY: the same.
            Wide(unsafe { _mm512_maskz_mov_ps(mask, self.0) })
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            // SAFETY: the same.
            Wide(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            // SAFETY: the same.
            Wide(unsafe { _mm512_sub_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn times(self, factor: f32) -> Self {
            // SAFETY: the same.
            Wide(unsafe { _mm512_mul_ps(self.0, _mm512_set1_ps(factor)) })
        }

        #[inline(always)]
        fn plus_times(self, factor: f32, other: Self) -> Self {
            // SAFETY: the same.
            Wide(unsafe { _mm512_fmadd_ps(_mm512_set1_ps(factor), other.0, self.0) })
        }
    }

    impl Wide {
        /// [`Lanes::take_apart`] for tiles of two.
        #[inline(always)]
        unsafe fn take_two_apart([a, b]: [__m512; 2]) -> [Self; 2] {
            // SAFETY: passed on to the caller.
            unsafe {
                let first = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
                let second = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
                [Wide(_mm512_permutex2var_ps(a, first, b)), Wide(_mm512_permutex2var_ps(a, second, b))]
            }
        }

        /// [`Lanes::put_together`] for tiles of two.
        #[inline(always)]
        unsafe fn put_two_together([a, b]: [Self; 2], address: *mut f32) {
            // SAFETY: passed on to the caller.
            unsafe {
                let near = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
                let far = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
                _mm512_storeu_ps(address, _mm512_permutex2var_ps(a.0, near, b.0));
                _mm512_storeu_ps(address.add(LANES), _mm512_permutex2var_ps(a.0, far, b.0));
            }
        }

        /// [`Lanes::take_apart`] for tiles of four.
        #[inline(always)]
        unsafe fn take_four_apart([a, b, c, d]: [__m512; 4]) -> [Self; 4] {
            // SAFETY: passed on to the caller.
            unsafe {
                let early = _mm512_set_epi32(29, 25, 21, 17, 13, 9, 5, 1, 28, 24, 20, 16, 12, 8, 4, 0);
                let late = _mm512_set_epi32(31, 27, 23, 19, 15, 11, 7, 3, 30, 26, 22, 18, 14, 10, 6, 2);
                let (ab, cd) = (_mm512_permutex2var_ps(a, early, b), _mm512_permutex2var_ps(c, early, d));
                let (ab_late, cd_late) = (_mm512_permutex2var_ps(a, late, b), _mm512_permutex2var_ps(c, late, d));
                [
                    Wide(_mm512_shuffle_f32x4::<FIRST>(ab, cd)),
                    Wide(_mm512_shuffle_f32x4::<SECOND>(ab, cd)),
                    Wide(_mm512_shuffle_f32x4::<FIRST>(ab_late, cd_late)),
                    Wide(_mm512_shuffle_f32x4::<SECOND>(ab_late, cd_late)),
                ]
            }
        }

        /// [`Lanes::put_together`] for tiles of four.
        #[inline(always)]
        unsafe fn put_four_together([a, b, c, d]: [Self; 4], address: *mut f32) {
            // SAFETY: passed on to the caller.
            unsafe {
                let near = _mm512_set_epi32(27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
                let far = _mm512_set_epi32(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4);
                let (ab, cd) = (_mm512_shuffle_f32x4::<FIRST>(a.0, b.0), _mm512_shuffle_f32x4::<FIRST>(c.0, d.0));
                _mm512_storeu_ps(address, _mm512_permutex2var_ps(ab, near, cd));
                _mm512_storeu_ps(address.add(LANES), _mm512_permutex2var_ps(ab, far, cd));
                let (ab, cd) = (_mm512_shuffle_f32x4::<SECOND>(a.0, b.0), _mm512_shuffle_f32x4::<SECOND>(c.0, d.0));
                _mm512_storeu_ps(address.add(2 * LANES), _mm512_permutex2var_ps(ab, near, cd));
                _mm512_storeu_ps(address.add(3 * LANES), _mm512_permutex2var_ps(ab, far, cd));
            }
        }
    }
}
