//! Plain loops, compiled for the vector unit that is there.
//!
//! The crate is built for the oldest machine of its architecture; [`widest`] runs a loop in a copy that was compiled for wider
//! vectors when the processor has them. A copy fuses a multiplication into an addition only where the loop says `mul_add`, so all
//! give the same bits.

/// Runs `work`, whose loops may use the widest vectors of this machine. Code that is not inlined keeps the narrow vectors, so
/// write `widest(#[inline(always)] || ...)`, and the same on the functions and closures that the loop calls. Long loop bodies stand
/// in a `for`: `for_each` of a `zip` is a call when its closure is long.
#[inline(always)]
pub fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,fma,avx512bw,avx512dq,avx512vl")]
        fn avx512<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        match Vectors::get() {
            // SAFETY: the processor has them, as `get` asked.
            Vectors::Avx512 => return unsafe { avx512(work) },
            // SAFETY: the same.
            Vectors::Avx2 => return unsafe { avx2(work) },
            Vectors::Oldest => {}
        }
    }
    work()
}

/// Whether explicit AVX-512 (F, BW, DQ and VL) may be used.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512() -> bool {
    Vectors::get() == Vectors::Avx512
}

/// The vectors that loops may use.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vectors {
    Avx512,
    Avx2,
    Oldest,
}

#[cfg(target_arch = "x86_64")]
impl Vectors {
    /// What the processor has, no more than `RCAFFE_ISA` allows.
    #[inline]
    fn get() -> Self {
        static CHOSEN: std::sync::OnceLock<Vectors> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let most = std::env::var("RCAFFE_ISA").unwrap_or_default();
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            match most.as_str() {
                "portable" => Vectors::Oldest,
                "avx2" if has_avx2 => Vectors::Avx2,
                _ if has_avx512 && has_avx2 => Vectors::Avx512,
                _ if has_avx2 => Vectors::Avx2,
                _ => Vectors::Oldest,
            }
        })
    }
}
