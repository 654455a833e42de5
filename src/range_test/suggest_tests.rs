//! The readings on curves of several shapes.

use super::*;
use crate::range_test::curve::Curve;

/// Noise that is the same in each run: uniform in -1..1.
fn noise(index: usize) -> f64 {
    let mixed = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A linear ramp up to 0.02 in `count` points, each the value at its rate with noise of this height.
fn linear(count: usize, height: f64, value: impl Fn(f64) -> f64) -> Curve {
    let point = |index: usize| {
        let rate = 0.02 * index as f64 / count as f64;
        (rate, value(rate) + height * noise(index))
    };
    Curve::new((0..count).map(point), None)
}

/// An exponential ramp from 1e-5 to 1.
fn exponential(count: usize, height: f64, value: impl Fn(f64) -> f64) -> Curve {
    let point = |index: usize| {
        let rate = 1e-5 * 1e5_f64.powf(index as f64 / count as f64);
        (rate, value(rate) + height * noise(index))
    };
    Curve::new((0..count).map(point), None)
}

/// Accuracy that stays at 0.1, rises from `start` on, slows at `slow`, and falls from `fall` on.
fn rise(start: f64, slow: f64, fall: f64) -> impl Fn(f64) -> f64 {
    move |rate| {
        let up = ((rate - start) / (slow - start)).clamp(0.0, 1.0) * 0.4;
        let creep = (rate - slow).max(0.0).min(fall - slow) * 2.0;
        let down = (rate - fall).max(0.0) * 40.0;
        (0.1 + up + creep - down).max(0.1)
    }
}

fn assert_between(value: f64, low: f64, high: f64) {
    assert!((low..=high).contains(&value), "{value} is not within {low} to {high}");
}

#[test]
fn accuracy_that_rises_slows_and_falls() {
    for (count, height) in [(50, 0.0), (50, 0.01), (200, 0.02), (25, 0.005)] {
        let bounds = papers_reading(&linear(count, height, rise(0.001, 0.006, 0.015)), Better::Larger, 0.0).unwrap();
        assert_between(bounds.base_lr, 0.0005, 0.0025);
        assert_between(bounds.max_lr, 0.0045, 0.0075);
        assert!(bounds.max_reason.contains("slows"), "{bounds:?}");
    }
}

#[test]
fn accuracy_that_falls_before_it_slows() {
    let bounds = papers_reading(&linear(50, 0.005, rise(0.001, 0.006, 0.006)), Better::Larger, 0.0).unwrap();
    assert_between(bounds.max_lr, 0.0045, 0.0065);
    let cliff = |rate: f64| if rate < 0.005 { 0.1 + 100.0 * rate } else { 0.1 };
    let bounds = papers_reading(&linear(50, 0.003, cliff), Better::Larger, 0.0).unwrap();
    assert_between(bounds.max_lr, 0.0035, 0.0052);
}

#[test]
fn accuracy_that_turns_ragged_while_it_rises() {
    let ragged = |rate: f64| {
        let index = (rate / 0.0004).round() as usize;
        0.1 + 20.0 * rate - if rate > 0.008 && index.is_multiple_of(3) { 0.12 } else { 0.0 }
    };
    let bounds = papers_reading(&linear(50, 0.003, ragged), Better::Larger, 0.0).unwrap();
    assert_between(bounds.max_lr, 0.007, 0.0105);
}

#[test]
fn accuracy_that_rises_right_away() {
    let curve = linear(50, 0.004, |rate| 0.5 - 0.4 * (-rate / 0.001).exp());
    let bounds = papers_reading(&curve, Better::Larger, 0.0).unwrap();
    assert_between(bounds.base_lr, 0.0001, 0.001);
    assert!(bounds.base_reason.contains("right away"), "{bounds:?}");
    assert_between(bounds.max_lr, 0.0015, 0.008);
}

#[test]
fn accuracy_that_rises_to_the_end() {
    let bounds = papers_reading(&linear(50, 0.003, |rate| 0.1 + 20.0 * rate), Better::Larger, 0.0).unwrap();
    assert_between(bounds.max_lr, 0.018, 0.02);
    assert!(bounds.max_reason.contains("still improved"), "{bounds:?}");
}

/// Loss as such tests have it: flat, a fall around `middle`, a minimum, an explosion.
fn loss(middle: f64, explosion: f64) -> impl Fn(f64) -> f64 {
    move |rate: f64| {
        let fall = 1.2 / (1.0 + (middle / rate.max(1e-12)).powi(2));
        2.3 - fall + (rate / explosion).powi(4).min(50.0)
    }
}

#[test]
fn a_loss_that_falls_and_explodes() {
    for height in [0.0, 0.02, 0.08] {
        let curve = exponential(1000, height, loss(0.001, 0.1));
        let bounds = papers_reading(&curve, Better::Smaller, 0.0).unwrap();
        assert_between(bounds.base_lr, 0.0001, 0.0009);
        assert_between(bounds.max_lr, 0.0018, 0.06);
        assert_between(steepest_slope(&curve).unwrap().rate, 0.0004, 0.002);
        assert_between(minimum_over_ten(&curve).unwrap().rate, 0.0005, 0.008);
    }
}

#[test]
fn spikes_at_the_beginning_and_no_numbers_at_the_end() {
    let base = loss(0.001, 0.1);
    let value = |rate: f64| match rate {
        rate if rate < 1.1e-5 => 40.0,
        rate if (2.0e-5..2.03e-5).contains(&rate) => 90.0,
        rate if rate > 0.3 => f64::NAN,
        rate => base(rate),
    };
    let clean = exponential(1000, 0.02, &base);
    let curve = exponential(1000, 0.02, value);
    assert!(curve.len() < 1000);
    let [with, without] = [&curve, &clean].map(|curve| papers_reading(curve, Better::Smaller, 0.0).unwrap());
    assert_between(with.base_lr / without.base_lr, 0.7, 1.4);
    assert_between(with.max_lr / without.max_lr, 0.7, 1.4);
    assert_between(steepest_slope(&curve).unwrap().rate, 0.0004, 0.002);
    assert_between(minimum_over_ten(&curve).unwrap().rate, 0.0005, 0.008);
}

#[test]
fn a_metric_that_never_improves_suggests_nothing() {
    for height in [0.0, 0.01] {
        for count in [20, 50, 300] {
            let why = papers_reading(&linear(count, height, |_| 0.1), Better::Larger, 0.0).unwrap_err();
            assert!(why.contains("does not improve"), "{why}");
        }
    }
    let worse = linear(50, 0.004, |rate| 0.5 - 20.0 * rate);
    let why = papers_reading(&worse, Better::Larger, 0.0).unwrap_err();
    assert!(why.contains("only gets worse"), "{why}");
    assert!(steepest_slope(&linear(50, 0.01, |_| 2.3)).is_err());
}

#[test]
fn accuracy_that_jumps_about_before_the_loss_falls_has_not_started() {
    let jumps = |rate: f64| if rate < 0.004 { 0.1 + 0.04 * (rate * 2000.0).sin().abs() } else { 25.0 * rate };
    let curve = linear(50, 0.004, jumps);
    assert_between(papers_reading(&curve, Better::Larger, 0.004).unwrap().base_lr, 0.0039, 0.0065);
    let falling = linear(400, 0.01, |rate| 2.3 - 100.0 * (rate - 0.004).max(0.0));
    assert_between(start_of_fall(&falling).unwrap(), 0.004, 0.0065);
    assert_eq!(start_of_fall(&linear(400, 0.01, |_| 2.3)), None);
}

#[test]
fn a_few_points_are_too_few() {
    let why = papers_reading(&linear(5, 0.0, rise(0.001, 0.006, 0.015)), Better::Larger, 0.0).unwrap_err();
    assert!(why.contains("only 5 points"), "{why}");
    let nothing = Curve::new([(0.1, f64::NAN), (0.2, f64::INFINITY)], None);
    assert!(minimum_over_ten(&nothing).is_err());
}
