//! Loops over values on the host: parallel over fixed chunks, vectorised, aware of operands that are the result's memory.
//!
//! Closures given to `map` and its like should be `move`, so that what they capture stays in registers, and
//! `#[inline(always)]` when they are long.

use rayon::prelude::*;

use crate::{
    ops::vector::widest,
    tensor::{Buffer, HostRef},
};

/// Values per task: large enough to be worth a task, small enough to stay in a core's cache. Fixed, so that results do not
/// depend on the number of threads.
pub const CHUNK: usize = 16 * 1024;

/// Calls `work` for each chunk of `y` with the place where it begins; in parallel when there is more than one.
#[inline(always)]
pub fn for_chunks(y: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    if y.len() <= CHUNK {
        work(0, y);
    } else {
        y.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, y)| work(chunk * CHUNK, y));
    }
}

/// y = value.
pub fn fill(value: f32, y: &Buffer) {
    for_chunks(&mut y.host_mut(), |_, y| y.fill(value));
}

/// y = x.
pub fn copy(x: &Buffer, y: &Buffer) {
    if let Some(x) = operand(x, y) {
        for_chunks(&mut y.host_mut(), |start, y| y.copy_from_slice(&x[start..start + y.len()]));
    }
}

/// y = f(x). `y` may be the memory of `x`.
///
/// # Panics
/// When `x` is shorter than `y`, here and below.
#[inline(always)]
pub fn map(x: &Buffer, y: &Buffer, f: impl Fn(f32) -> f32 + Sync + Copy) {
    let x = operand(x, y);
    let x = x.as_deref();
    for_chunks(&mut y.host_mut(), |start, y| {
        // A copy on the stack: values that f captured need no look-up per step.
        let local = f;
        widest(
            #[inline(always)]
            || match x {
                None => y.iter_mut().for_each(|y| *y = local(*y)),
                Some(x) => {
                    let x = &x[start..start + y.len()];
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = local(x));
                }
            },
        );
    });
}

/// y = f(a, b). `y` may be the memory of either or both.
#[inline(always)]
pub fn map2(a: &Buffer, b: &Buffer, y: &Buffer, f: impl Fn(f32, f32) -> f32 + Sync + Copy) {
    let (a, b) = (operand(a, y), operand(b, y));
    let (a, b) = (a.as_deref(), b.as_deref());
    for_chunks(&mut y.host_mut(), |start, y| {
        // A copy on the stack: values that f captured need no look-up per step.
        let local = f;
        let range = start..start + y.len();
        let (a, b) = (a.map(|a| &a[range.clone()]), b.map(|b| &b[range]));
        widest(
            #[inline(always)]
            || match (a, b) {
                (None, None) => y.iter_mut().for_each(|y| *y = local(*y, *y)),
                (Some(a), None) => y.iter_mut().zip(a).for_each(|(y, &a)| *y = local(a, *y)),
                (None, Some(b)) => y.iter_mut().zip(b).for_each(|(y, &b)| *y = local(*y, b)),
                (Some(a), Some(b)) => y.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| *y = local(a, b)),
            },
        );
    });
}

/// y = f(a, b, c). `y` may be the memory of `c`, not of `a` or `b`.
#[inline(always)]
pub fn map3(a: &Buffer, b: &Buffer, c: &Buffer, y: &Buffer, f: impl Fn(f32, f32, f32) -> f32 + Sync + Copy) {
    let (a, b, c) = (a.host(), b.host(), operand(c, y));
    let (a, b, c) = (&*a, &*b, c.as_deref());
    for_chunks(&mut y.host_mut(), |start, y| {
        // A copy on the stack: values that f captured need no look-up per step.
        let local = f;
        let range = start..start + y.len();
        let operands = a[range.clone()].iter().zip(&b[range.clone()]);
        widest(
            #[inline(always)]
            || match c {
                None => y.iter_mut().zip(operands).for_each(|(y, (&a, &b))| *y = local(a, b, *y)),
                Some(c) => {
                    let operands = operands.zip(&c[range]);
                    y.iter_mut().zip(operands).for_each(|(y, ((&a, &b), &c))| *y = local(a, b, c));
                }
            },
        );
    });
}

/// y = Σ terms, part by part, so that y is written to memory once.
///
/// # Panics
/// When there is no term, or one is shorter than `y`, or one behind the first is its memory.
pub fn add_all(terms: &[&Buffer], y: &Buffer) {
    let (first, others) = terms.split_first().expect("a sum has terms");
    let first = operand(first, y);
    let first = first.as_deref();
    for_chunks(&mut y.host_mut(), |start, y| {
        let range = start..start + y.len();
        let mut first = first.map(|first| &first[range.clone()]);
        for other in others {
            let other = other.host();
            let other = &other[range.clone()];
            widest(
                #[inline(always)]
                || match first.take() {
                    Some(first) => y.iter_mut().zip(first).zip(other).for_each(|((y, a), b)| *y = a + b),
                    None => y.iter_mut().zip(other).for_each(|(y, b)| *y += b),
                },
            );
        }
        if let Some(first) = first {
            y.copy_from_slice(first);
        }
    });
}

/// The operand's values, or None when they are the result's memory.
pub fn operand<'a>(x: &'a Buffer, y: &Buffer) -> Option<HostRef<'a>> {
    (!x.is_same(y)).then(|| x.host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|value| value as f32).collect()
    }

    #[test]
    fn results_are_the_same_in_place_and_over_many_chunks() {
        let count = 3 * CHUNK + 5;
        let (a, b) = (Buffer::from(numbers(count)), Buffer::from(vec![3.0; count]));
        let expected: Vec<f32> = numbers(count).iter().map(|a| a - 3.0).collect();
        let y = Buffer::zeros(count);
        map2(&a, &b, &y, |a, b| a - b);
        assert_eq!(&*y.host(), &expected);
        let onto_a = Buffer::from(numbers(count));
        map2(&onto_a, &b, &onto_a, |a, b| a - b);
        assert_eq!(&*onto_a.host(), &expected);
        map2(&a, &b, &b, |a, b| a - b);
        assert_eq!(&*b.host(), &expected);
        map(&a, &a, |a| a - 3.0);
        assert_eq!(&*a.host(), &expected);
        map3(&y, &y, &a, &a, |x, y, a| x + a - y);
        assert_eq!(&*a.host(), &expected);
    }
}
