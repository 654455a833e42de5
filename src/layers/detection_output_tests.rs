//! Boxes found by hand, and by a plain reading of SSD's rules.

use crate::{
    layers::testing::{Trial, assert_close, values},
    proto::{
        DetectionOutputParameter, LayerParameter, NonMaximumSuppressionParameter, SaveOutputParameter,
        prior_box_parameter::CodeType,
    },
};

fn message(options: DetectionOutputParameter) -> LayerParameter {
    LayerParameter {
        r#type: Some("DetectionOutput".into()),
        detection_output_param: Some(options),
        ..Default::default()
    }
}

fn classes(num_classes: u32) -> DetectionOutputParameter {
    DetectionOutputParameter { num_classes: Some(num_classes), ..Default::default() }
}

/// Four priors in a row, the second mostly over the first; then their variances.
fn priors() -> Vec<f32> {
    let boxes = [[0.0, 0.0, 0.2, 0.2], [0.02, 0.0, 0.22, 0.2], [0.5, 0.5, 0.7, 0.9], [0.8, 0.8, 1.0, 1.0]];
    [boxes.concat(), [0.1, 0.1, 0.2, 0.2].repeat(4)].concat()
}

/// The rows that are found for one image with offsets of 0.
fn found(options: DetectionOutputParameter, scores: &[f32]) -> Vec<Vec<f32>> {
    let trial = Trial::of(&message(options)).constant([1, 16], [0.0; 16]).constant([1, scores.len()], scores);
    let trial = trial.constant([1, 2, 16], priors()).run().unwrap();
    assert_eq!(trial.top_shape(0), [1, 1, trial.top(0).len() / 7, 7]);
    trial.top(0).chunks(7).map(<[f32]>::to_vec).collect()
}

#[test]
fn the_better_of_overlapping_boxes_is_kept_class_by_class() {
    // Three classes, the first the background. Class 1: the second prior beats the first. Class 2: the first beats the second.
    let scores = [0.9, 0.5, 0.6, 0.9, 0.7, 0.1, 0.9, 0.2, 0.3, 0.9, 0.05, 0.0];
    let options = DetectionOutputParameter { confidence_threshold: Some(0.15), ..classes(3) };
    let rows = found(options, &scores);
    let expected = [
        [0.0, 1.0, 0.7, 0.02, 0.0, 0.22, 0.2],
        [0.0, 1.0, 0.2, 0.5, 0.5, 0.7, 0.9],
        [0.0, 2.0, 0.6, 0.0, 0.0, 0.2, 0.2],
        [0.0, 2.0, 0.3, 0.5, 0.5, 0.7, 0.9],
    ];
    assert_eq!(rows, expected);
}

#[test]
fn the_best_of_an_image_are_kept_and_ordered_by_class() {
    let scores = [0.0, 0.5, 0.6, 0.0, 0.7, 0.1, 0.0, 0.2, 0.9, 0.0, 0.05, 0.0];
    let rows = found(DetectionOutputParameter { keep_top_k: Some(3), ..classes(3) }, &scores);
    let short: Vec<[f32; 2]> = rows.iter().map(|row| [row[1], row[2]]).collect();
    assert_eq!(short, [[1.0, 0.7], [2.0, 0.9], [2.0, 0.6]]);
}

#[test]
fn suppression_looks_at_the_best_and_may_grow_stricter() {
    let scores = [0.9, 0.8, 0.7, 0.6];
    let count = |nms_param: NonMaximumSuppressionParameter| {
        let options = DetectionOutputParameter {
            background_label_id: Some(-1),
            nms_param: Some(nms_param),
            keep_top_k: Some(-1),
            ..classes(1)
        };
        found(options, &scores).len()
    };
    let plain = NonMaximumSuppressionParameter::default();
    // The first two overlap by 0.18·0.2 / (2·0.04 − 0.036) = 0.818.
    assert_eq!(count(plain), 3);
    assert_eq!(count(NonMaximumSuppressionParameter { nms_threshold: Some(0.82), ..plain }), 4);
    assert_eq!(count(NonMaximumSuppressionParameter { nms_threshold: Some(0.82), eta: Some(0.9), ..plain }), 3);
    assert_eq!(count(NonMaximumSuppressionParameter { top_k: Some(2), ..plain }), 1);
    assert_eq!(count(NonMaximumSuppressionParameter { top_k: Some(-1), ..plain }), 3);
}

#[test]
fn nothing_found_is_a_row_for_each_image() {
    let options = DetectionOutputParameter { confidence_threshold: Some(0.5), ..classes(2) };
    let trial = Trial::of(&message(options)).constant([2, 16], [0.0; 32]).constant([2, 8], [0.1; 16]);
    let trial = trial.constant([1, 2, 16], priors()).run().unwrap();
    assert_eq!(trial.top_shape(0), [1, 1, 2, 7]);
    assert_eq!(
        trial.top(0),
        [[0.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0], [1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0]].concat()
    );
}

#[test]
fn scores_that_are_no_number_are_not_found() {
    let options = DetectionOutputParameter { background_label_id: Some(-1), ..classes(1) };
    assert_eq!(found(options, &[f32::NAN, 0.5, f32::NAN, f32::NEG_INFINITY]).len(), 1);
}

/// A box as SSD's definition of each coding gives it, in f64.
fn decoded(code: CodeType, is_scaled: bool, prior: &[f32], variance: &[f32], offset: &[f32]) -> [f64; 4] {
    let p: Vec<f64> = prior.iter().map(|&value| value.into()).collect();
    let factor = |i: usize| if is_scaled { 1.0 } else { f64::from(variance[i]) };
    let o: Vec<f64> = (0..4).map(|i| factor(i) * f64::from(offset[i])).collect();
    let (w, h) = (p[2] - p[0], p[3] - p[1]);
    match code {
        CodeType::Corner => [p[0] + o[0], p[1] + o[1], p[2] + o[2], p[3] + o[3]],
        CodeType::CornerSize => [p[0] + w * o[0], p[1] + h * o[1], p[2] + w * o[2], p[3] + h * o[3]],
        CodeType::CenterSize => {
            let (x, y) = ((p[0] + p[2]) / 2.0 + o[0] * w, (p[1] + p[3]) / 2.0 + o[1] * h);
            let (w, h) = (w * o[2].exp(), h * o[3].exp());
            [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]
        }
    }
}

#[test]
fn every_coding_of_shared_and_separate_boxes() {
    let (priors, classes_count) = (priors(), 2);
    for code in [CodeType::Corner, CodeType::CenterSize, CodeType::CornerSize] {
        for (is_shared, is_scaled) in [(true, false), (true, true), (false, false), (false, true)] {
            let boxes = if is_shared { 1 } else { classes_count };
            let options = DetectionOutputParameter {
                share_location: Some(is_shared),
                variance_encoded_in_target: Some(is_scaled),
                nms_param: Some(NonMaximumSuppressionParameter { nms_threshold: Some(1.0), ..Default::default() }),
                code_type: Some(code.into()),
                ..classes(2)
            };
            let offsets = values(2 * 4 * boxes * 4, 1);
            // The scores fall with the prior, so that boxes come in the order of the priors.
            let scores: Vec<f32> = (0..16).map(|place| 1.0 - (place % 8) as f32 / 10.0).collect();
            let trial = Trial::of(&message(options)).constant([2, 16 * boxes], offsets.clone());
            let trial = trial.constant([2, 8], scores).constant([1, 2, 16], priors.clone()).run().unwrap();
            let mut expected = Vec::new();
            for box_number in 0..8 {
                let prior = box_number % 4;
                let offset = &offsets[(box_number * boxes + boxes - 1) * 4..][..4];
                let corners =
                    decoded(code, is_scaled, &priors[4 * prior..][..4], &priors[16 + 4 * prior..][..4], offset);
                expected.extend(corners.map(|value| value as f32));
            }
            let corners: Vec<f32> = trial.top(0).chunks(7).flat_map(|row| row[3..].to_vec()).collect();
            assert_close(&corners, &expected);
        }
    }
}

#[test]
fn priors_without_area_are_named_where_their_size_counts() {
    let run = |code: CodeType| {
        let mut priors = priors();
        priors[6] = 0.02;
        let options = DetectionOutputParameter { code_type: Some(code.into()), ..classes(2) };
        let trial = Trial::of(&message(options)).constant([1, 16], [0.0; 16]).constant([1, 8], [0.5; 8]);
        trial.constant([1, 2, 16], priors).run()
    };
    assert!(run(CodeType::Corner).is_ok());
    for code in [CodeType::CenterSize, CodeType::CornerSize] {
        assert!(run(code).err().unwrap().to_string().contains("number 1 has no area"));
    }
}

#[test]
fn what_ssd_writes_to_files_is_ignored() {
    let options = DetectionOutputParameter {
        save_output_param: Some(SaveOutputParameter { output_directory: Some("x".into()), ..Default::default() }),
        visualize: Some(true),
        ..classes(2)
    };
    assert_eq!(found(options, &[0.5; 8]).len(), 3);
    assert!(!std::path::Path::new("x").exists());
}

#[test]
fn wrong_options_and_shapes_are_named() {
    let error = |options: DetectionOutputParameter, offsets: usize, scores: &[usize], priors: &[usize]| {
        let zeros = |dims: &[usize]| vec![0.0; dims.iter().product()];
        let trial = Trial::of(&message(options)).constant([1, offsets], vec![0.0; offsets]);
        let trial = trial.constant(scores, zeros(scores)).constant(priors, zeros(priors));
        trial.build().err().unwrap().to_string()
    };
    let nms = |nms_param| DetectionOutputParameter { nms_param: Some(nms_param), ..classes(2) };
    let plain = NonMaximumSuppressionParameter::default();
    let shapes = (16, &[1, 8][..], &[1, 2, 16][..]);
    let option = |options| error(options, shapes.0, shapes.1, shapes.2);
    assert!(option(DetectionOutputParameter::default()).contains("detection_output_param.num_classes"));
    assert!(
        option(nms(NonMaximumSuppressionParameter { nms_threshold: Some(-0.1), ..plain })).contains("nms_threshold")
    );
    assert!(option(nms(NonMaximumSuppressionParameter { eta: Some(0.0), ..plain })).contains("nms_param.eta"));
    assert!(option(nms(NonMaximumSuppressionParameter { eta: Some(1.1), ..plain })).contains("nms_param.eta"));
    assert!(option(classes(u32::MAX)).contains("bottom 1 needs"));
    assert!(error(classes(2), 12, &[1, 8], &[1, 2, 16]).contains("bottom 0 needs 4 offsets for each of 4 priors"));
    assert!(error(classes(2), 16, &[1, 9], &[1, 2, 16]).contains("bottom 1 needs 2 scores for each of 4 priors"));
    assert!(error(classes(2), 16, &[2, 8], &[1, 2, 16]).contains("bottom 1 needs"));
    assert!(error(classes(2), 16, &[1, 8], &[1, 1, 16]).contains("bottom 2 needs shape 1×2×(priors·4)"));
    assert!(error(classes(2), 16, &[1, 8], &[1, 2, 18]).contains("bottom 0 needs"));
}

#[test]
fn there_is_no_gradient() {
    let trial = Trial::of(&message(classes(2))).bottom([1, 16], [0.0; 16]).constant([1, 8], [0.5; 8]);
    let mut trial = trial.constant([1, 2, 16], priors()).run().unwrap();
    assert!(trial.backward().unwrap_err().to_string().contains("no gradient"));
}
