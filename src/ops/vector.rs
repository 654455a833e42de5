//! Plain loops, compiled for the vector unit that is there.
//!
//! The crate is built for the oldest machine of its architecture; [`widest`] runs a loop in a copy that was compiled for wider
//! vectors when the processor has them. A copy fuses a multiplication into an addition only where the loop says `mul_add`, so all
//! give the same bits.

/// Runs `work`, whose loops may use the widest vectors of this machine. Code that is not inlined keeps the narrow vectors, so
/// write `widest(#[inline(always)] || ...)`, and the same on the functions and closures that the loop calls.
#[inline(always)]
pub fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has both, as just asked.
            return unsafe { avx2(work) };
        }
    }
    work()
}
