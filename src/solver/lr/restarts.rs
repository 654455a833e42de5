//! `sgdr`: cosine annealing with warm restarts (Loshchilov and Hutter, *SGDR*, arXiv 1608.03983, equation 5).
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `base_lr` | | the rate that the first period begins with |
//! | `min_lr` | 0 | what each period falls to |
//! | `period` | | iterations of the first period |
//! | `p_mult` | 1 | what each period is longer by than the one before it |
//! | `lr_mult` | 1 | what each period's first rate is multiplied by |
//! | `start_lr_policy` | 0 | the iteration at which the first period begins; `base_lr` before |

use super::Settings;
use crate::error::{Error, Result};

/// `min_lr + (b - min_lr) · (1 + cos(π·t/T)) / 2` at iteration t of period k, T = period·p_mult^k, b = base_lr·lr_mult^k;
/// in f64, rounded once. A period that is no whole number of iterations ends between two of them.
pub(super) fn sgdr(settings: &Settings, iteration: i32) -> f32 {
    let iterations = f64::from(iteration) - f64::from(settings.start_lr_policy);
    if iterations <= 0.0 {
        return settings.base_lr;
    }
    let (begin, length, number) = period(settings, iterations);
    let done = ((iterations - begin) / length).clamp(0.0, 1.0);
    let max = f64::from(settings.base_lr) * f64::from(settings.lr_mult).powf(number);
    let min = f64::from(settings.min_lr.unwrap_or_default());
    (min + (max - min) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())) as f32
}

/// The period that an iteration lies in: its first iteration, its length, and how many came before it.
fn period(settings: &Settings, iterations: f64) -> (f64, f64, f64) {
    let (first, growth) = (f64::from(settings.period.unwrap_or(1)), f64::from(settings.p_mult));
    let begin = |number: f64| {
        if growth == 1.0 { first * number } else { first * (growth.powf(number) - 1.0) / (growth - 1.0) }
    };
    // All periods up to number k together last first·(growth^k - 1) / (growth - 1) iterations.
    let passed = iterations / first;
    let number = if growth == 1.0 { passed } else { (passed * (growth - 1.0)).ln_1p() / growth.ln() };
    let mut number = number.floor();
    // A logarithm that was rounded may be one off at a restart.
    if begin(number + 1.0) <= iterations {
        number += 1.0;
    } else if begin(number) > iterations {
        number -= 1.0;
    }
    (begin(number), first * growth.powf(number), number)
}

/// Refuses periods without length, and periods that shrink.
pub(super) fn check(settings: &Settings) -> Result<()> {
    match settings.period {
        Some(1..) => {}
        Some(period) => return Err(Error::config("period", format!("must be at least 1 iteration, not {period}"))),
        None => return Err(Error::config("period", "is missing: \"sgdr\" restarts after so many iterations")),
    }
    if !(settings.p_mult >= 1.0 && settings.p_mult.is_finite()) {
        let message = format!("must be at least 1, not {}: what each period is longer by", settings.p_mult);
        return Err(Error::config("p_mult", message));
    }
    if !(settings.lr_mult > 0.0 && settings.lr_mult.is_finite()) {
        let message =
            format!("must be above 0, not {}: what each period's first rate is multiplied by", settings.lr_mult);
        return Err(Error::config("lr_mult", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, learning_rate, refusal};

    #[test]
    fn each_period_falls_from_its_peak_to_the_minimum() {
        let options = "lr_policy: \"sgdr\" base_lr: 0.5 min_lr: 0.1 period: 10";
        // (1 + cos(π·0.2)) / 2 = 0.904508497
        let expected =
            [(0, 0.5), (2, 0.1 + 0.4 * 0.904_508_5), (5, 0.3), (10, 0.5), (12, 0.1 + 0.4 * 0.904_508_5), (1005, 0.3)];
        assert_near(&learning_rate(options), &expected);
    }

    #[test]
    fn periods_grow_and_peaks_shrink() {
        let options = "lr_policy: \"sgdr\" base_lr: 0.8 period: 10 p_mult: 2 lr_mult: 0.5 start_lr_policy: 100";
        // Restarts at 110, 130, 170, 250.
        let expected =
            [(7, 0.8), (100, 0.8), (105, 0.4), (110, 0.4), (120, 0.2), (130, 0.2), (150, 0.1), (170, 0.1), (250, 0.05)];
        assert_near(&learning_rate(options), &expected);
    }

    #[test]
    fn every_restart_is_found() {
        for growth in [1.0, 1.5, 2.0, 3.0] {
            let rates = learning_rate(&format!("lr_policy: \"sgdr\" base_lr: 1 period: 8 p_mult: {growth}"));
            let (mut begin, mut length) = (0.0, 8.0);
            while begin < 1e6 {
                let first = f64::ceil(begin) as usize;
                let done: f64 = (first as f64 - begin) / length;
                let expected = 0.5 * (1.0 + (std::f64::consts::PI * done).cos()) as f32;
                assert_near(&rates, &[(first, expected)]);
                assert!(first == 0 || rates.rate(first - 1) < 0.5, "the period before {first} has not fallen");
                (begin, length) = (begin + length, length * growth);
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            ("", "period: is missing"),
            ("period: 0", "period: must be at least 1 iteration, not 0"),
            ("period: 9 p_mult: 0.5", "p_mult: must be at least 1, not 0.5"),
            ("period: 9 lr_mult: 0", "lr_mult: must be above 0, not 0"),
            ("period: 9 min_lr: 2", "min_lr: must not be above base_lr, and is 2: \"sgdr\" falls to it from 1"),
            ("period: 9 min_lr: -1", "min_lr: must be a number from 0 up, not -1"),
            ("period: 9 start_lr_policy: nan", "start_lr_policy: must be an iteration"),
        ];
        for (options, expected) in cases {
            let message = refusal(&format!("lr_policy: \"sgdr\" base_lr: 1 {options}"));
            assert!(message.contains(expected), "{message}");
        }
    }
}
