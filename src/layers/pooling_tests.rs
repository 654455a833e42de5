//! Tests of `Pooling`: shapes by option, ties, the mask, and both directions against the plain definition.

use proptest::prelude::*;

use crate::{
    layers::testing::{GradientCheck, Trial, assert_close, values},
    proto::{
        LayerParameter, Phase, PoolingParameter,
        pooling_parameter::{PoolMethod, RoundMode},
    },
};

fn pooling(options: PoolingParameter) -> LayerParameter {
    LayerParameter { r#type: Some("Pooling".into()), pooling_param: Some(options), ..Default::default() }
}

fn options(pool: PoolMethod, kernel: u32, stride: u32, pad: u32) -> PoolingParameter {
    PoolingParameter {
        pool: Some(pool as i32),
        kernel_size: Some(kernel),
        stride: Some(stride),
        pad: Some(pad),
        ..Default::default()
    }
}

fn shape_of(options: PoolingParameter, height: usize, width: usize) -> Vec<usize> {
    let x = vec![0.0; 2 * height * width];
    Trial::of(&pooling(options)).bottom([1, 2, height, width], x).build().unwrap().top_shape(0)
}

fn error_of(options: PoolingParameter) -> String {
    let trial = Trial::of(&pooling(options)).bottom([1, 1, 4, 4], values(16, 1)).build();
    trial.err().expect("the options are wrong").to_string()
}

#[test]
fn output_sizes() {
    let base = options(PoolMethod::Max, 3, 2, 0);
    assert_eq!(shape_of(base, 32, 32), [1, 2, 16, 16], "the last window sticks out");
    let floor = PoolingParameter { round_mode: Some(RoundMode::Floor as i32), ..base };
    assert_eq!(shape_of(floor, 32, 32), [1, 2, 15, 15]);
    assert_eq!(shape_of(options(PoolMethod::Max, 2, 2, 1), 3, 5), [1, 2, 2, 3], "no window begins behind the plane");
    let global = PoolingParameter { global_pooling: Some(true), ..Default::default() };
    assert_eq!(shape_of(global, 7, 5), [1, 2, 1, 1]);
    let rectangle = PoolingParameter {
        kernel_h: Some(2),
        kernel_w: Some(3),
        stride_h: Some(2),
        stride_w: Some(1),
        ..Default::default()
    };
    assert_eq!(shape_of(rectangle, 6, 6), [1, 2, 3, 4]);
}

#[test]
fn wrong_options_are_named() {
    assert!(error_of(PoolingParameter::default()).contains("pooling_param.kernel_size: is missing"));
    assert!(error_of(options(PoolMethod::Max, 0, 1, 0)).contains("pooling_param.kernel_size: must be at least 1"));
    assert!(error_of(options(PoolMethod::Ave, 2, 0, 0)).contains("pooling_param.stride: must be at least 1"));
    assert!(error_of(options(PoolMethod::Ave, 2, 1, 2)).contains("pooling_param.pad: 2 must be less than"));
    assert!(error_of(options(PoolMethod::Stochastic, 2, 1, 1)).starts_with("pooling_param.pad"));
    assert!(error_of(options(PoolMethod::Max, 9, 1, 0)).contains("a window of 9"));
    let both = PoolingParameter { kernel_h: Some(2), kernel_w: Some(2), ..options(PoolMethod::Max, 2, 1, 0) };
    assert!(error_of(both).contains("kernel_h and kernel_w"));
}

#[test]
fn the_first_of_equal_values_is_the_maximum_and_gets_the_gradient() {
    let mut trial = Trial::of(&pooling(options(PoolMethod::Max, 2, 2, 0)))
        .bottom([1, 1, 2, 4], [1.0, 1.0, 0.0, 3.0, 1.0, 1.0, 3.0, 3.0])
        .tops(2)
        .run()
        .unwrap();
    assert_eq!((trial.top(0), trial.top(1)), (vec![1.0, 3.0], vec![0.0, 3.0]));
    trial.set_top_diff(0, &[5.0, 7.0]);
    trial.backward().unwrap();
    assert_eq!(trial.bottom_diff(0), [5.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_window_of_nan_has_no_maximum() {
    let mut trial = Trial::of(&pooling(options(PoolMethod::Max, 2, 2, 0)))
        .bottom([1, 1, 2, 2], [f32::NAN; 4])
        .tops(2)
        .run()
        .unwrap();
    assert_eq!((trial.top(0), trial.top(1)), (vec![-f32::MAX], vec![-1.0]));
    trial.set_top_diff(0, &[5.0]);
    trial.backward().unwrap();
    assert_eq!(trial.bottom_diff(0), [0.0; 4]);
}

#[test]
fn gradients() {
    for (kernel, stride, pad) in [(3, 2, 0), (3, 2, 1), (2, 2, 0), (3, 1, 1), (1, 2, 0), (4, 3, 2)] {
        for method in [PoolMethod::Max, PoolMethod::Ave] {
            // Values a step apart: no maximum changes hands when one is moved.
            let mut x: Vec<f32> = (0..70).map(|value| (value * 37 % 70) as f32 * 0.05).collect();
            x.truncate(2 * 35);
            let message = pooling(options(method, kernel, stride, pad));
            let mut trial = Trial::of(&message).bottom([1, 2, 5, 7], x).run().unwrap();
            GradientCheck::default().run(&mut trial);
        }
    }
}

/// Pooling as its definition says, window by window.
fn plain(
    options: &PoolingParameter,
    (height, width): (usize, usize),
    output: &[usize],
    x: &[f32],
    dy: &[f32],
) -> [Vec<f32>; 2] {
    let (kernel, stride, pad) = (options.kernel_size() as i64, options.stride() as i64, options.pad() as i64);
    let (mut y, mut dx) = (Vec::new(), vec![0.0; x.len()]);
    for (place, &dy) in dy.iter().enumerate() {
        let (plane, ph, pw) = (place / (output[2] * output[3]), place / output[3] % output[2], place % output[3]);
        let (top, left) = (ph as i64 * stride - pad, pw as i64 * stride - pad);
        let bottom = (top + kernel).min(height as i64 + pad);
        let right = (left + kernel).min(width as i64 + pad);
        let (mut best, mut sum, mut cells) = (None::<usize>, 0.0_f32, Vec::new());
        for h in top.max(0)..bottom.min(height as i64) {
            for w in left.max(0)..right.min(width as i64) {
                let cell = plane * height * width + h as usize * width + w as usize;
                sum += x[cell];
                cells.push(cell);
                if best.is_none_or(|best| x[cell] > x[best]) {
                    best = Some(cell);
                }
            }
        }
        if options.pool() == PoolMethod::Max {
            let best = best.expect("the test's windows are not empty");
            y.push(x[best]);
            dx[best] += dy;
        } else {
            let size = ((bottom - top) * (right - left)) as f32;
            y.push(sum / size);
            cells.iter().for_each(|&cell| dx[cell] += dy / size);
        }
    }
    [y, dx]
}

proptest! {
    #[test]
    fn both_directions_are_the_definition_s(
        (height, width) in (1_usize..12, 1_usize..40),
        (kernel, stride, pad) in (1_u32..6, 1_u32..5, 0_u32..3),
        max in any::<bool>(),
        stream in any::<u64>(),
    ) {
        prop_assume!(pad < kernel && stride <= kernel);
        let method = if max { PoolMethod::Max } else { PoolMethod::Ave };
        let options = options(method, kernel, stride, pad);
        prop_assume!(kernel as usize <= height.min(width) + 2 * pad as usize);
        let x: Vec<f32> = values(6 * height * width, stream).iter().map(|value| (value * 8.0).round()).collect();
        let message = pooling(options);
        let mut trial = Trial::of(&message).bottom([2, 3, height, width], x.clone()).run().unwrap();
        let output = trial.top_shape(0);
        let dy = values(output.iter().product(), stream ^ 1);
        trial.set_top_diff(0, &dy);
        trial.backward().unwrap();
        let [y, dx] = plain(&options, (height, width), &output, &x, &dy);
        prop_assert_eq!(trial.top(0), y);
        if max {
            prop_assert_eq!(trial.bottom_diff(0), dx);
        } else {
            assert_close(&trial.bottom_diff(0), &dx);
        }
    }
}

/// Each window gives one of its values, in the long run as often as the value's share of the window's sum.
#[test]
fn stochastic_pooling_picks_by_size() {
    let message = pooling(options(PoolMethod::Stochastic, 2, 2, 0));
    let mut trial = Trial::of(&message).bottom([1, 1, 2, 4], [1.0, 3.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0]).run().unwrap();
    let mut threes = 0;
    for _ in 0..800 {
        trial.forward().unwrap();
        let top = trial.top(0);
        assert!([1.0, 3.0, 4.0].contains(&top[0]) && top[1] == 0.0, "{top:?}");
        threes += usize::from(top[0] == 3.0);
    }
    assert!((250..350).contains(&threes), "{threes} of 800 with a share of 3/8");
}

#[test]
fn stochastic_pooling_gives_the_expected_value_when_testing() {
    let message = pooling(options(PoolMethod::Stochastic, 2, 2, 0));
    let trial = Trial::of(&message).phase(Phase::Test).bottom([1, 1, 2, 3], [1.0, 3.0, 0.0, 4.0, 0.0, 0.0]);
    assert_eq!(trial.run().unwrap().top(0), [26.0 / 8.0, 0.0]);
}

#[test]
fn gradients_of_stochastic_pooling() {
    let x: Vec<f32> = values(60, 4).iter().map(|value| value.abs() + 0.1).collect();
    for phase in [Phase::Test, Phase::Train] {
        let message = pooling(options(PoolMethod::Stochastic, 3, 2, 0));
        let mut trial = Trial::of(&message).phase(phase).seed(4).bottom([1, 2, 5, 6], x.clone()).run().unwrap();
        if phase == Phase::Test {
            GradientCheck::default().run(&mut trial);
            continue;
        }
        // Moving a value changes which one is picked; that its gradient goes to the one picked can be seen.
        let top = trial.top(0);
        trial.set_top_diff(0, &top);
        trial.backward().unwrap();
        let diff = trial.bottom_diff(0);
        assert!(diff.iter().zip(&x).all(|(diff, x)| (diff / x - (diff / x).round()).abs() < 1e-5));
        assert!((diff.iter().sum::<f32>() - top.iter().sum::<f32>()).abs() < 1e-4);
    }
}
