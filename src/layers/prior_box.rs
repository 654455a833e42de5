//! `PriorBox`: default boxes around each position of a plane (SSD's fork of Caffe; Liu et al., *SSD: Single Shot MultiBox
//! Detector*, arXiv 1512.02325, section 2.2).
//!
//! | option (`prior_box_param`) | default | meaning |
//! |---|---|---|
//! | `min_size`, once or several times | required | side of a square, in pixels; SSD cuts off its fraction |
//! | `max_size`, for each `min_size` or not at all | | larger than it; adds a square of the side √(min_size·max_size) |
//! | `aspect_ratio`, several times | | adds a box `min_size`·√a wide and `min_size`/√a high; 1 and repetitions count once |
//! | `flip` | true | each ratio also as 1/a |
//! | `clip` | false | boxes are cut at the image's borders |
//! | `variance`, once or four times | 0.1 | goes along for DetectionOutput |
//! | `img_size`, or `img_h` and `img_w` | the second bottom's | the image's size in pixels |
//! | `step`, or `step_h` and `step_w` | the image's size over the plane's | pixels between positions |
//! | `offset` | 0.5 | where in its cell a position's centre lies |
//!
//! Bottoms: the plane (N×C×H×W) and the image (N×C×H×W), of both the shapes only. Top: 1×2×(H·W·boxes·4): first x₁, y₁, x₂, y₂
//! of all boxes in parts of the image, position by position; then their variances. It has no gradient.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, shape_within},
    ops::boxes::{self, Priors},
    proto::{LayerParameter, PriorBoxParameter},
};

/// The layer; see the module's text.
pub struct PriorBox {
    /// The image's height and width, if given.
    image: Option<[usize; 2]>,
    /// Pixels between positions, if given.
    steps: Option<[f32; 2]>,
    priors: Priors,
}

impl PriorBox {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When one is missing, not positive, or given in two ways.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.prior_box_param.clone().unwrap_or_default();
        let (small, large) = sides(&options)?;
        if let Some(ratio) = options.aspect_ratio.iter().find(|ratio| !is_positive(**ratio)) {
            return Err(field("aspect_ratio", format!("must be above 0, is {ratio}")));
        }
        let ratios = Priors::ratios(&options.aspect_ratio, options.flip());
        let priors = Priors {
            offset: options.offset(),
            sizes: Priors::sizes(&small, &large, &ratios),
            clip: options.clip(),
            variances: variances(&options.variance)?,
            ..Priors::default()
        };
        Ok(Box::new(PriorBox { image: image(&options)?, steps: steps(&options)?, priors }))
    }
}

fn field(name: &str, message: impl Into<String>) -> Error {
    Error::config(format!("prior_box_param.{name}"), message)
}

fn is_positive(value: f32) -> bool {
    value > 0.0 && value.is_finite()
}

/// The sides of the small and of the large squares, in whole pixels.
fn sides(options: &PriorBoxParameter) -> Result<(Vec<i32>, Vec<i32>)> {
    let (small, large) = (&options.min_size, &options.max_size);
    if small.is_empty() {
        return Err(field("min_size", "must be given"));
    }
    if let Some(side) = small.iter().find(|side| !(**side >= 1.0 && side.is_finite())) {
        return Err(field("min_size", format!("must be at least 1 pixel, is {side}")));
    }
    if !large.is_empty() && large.len() != small.len() {
        let message = format!("is given {} times for {} of min_size; give as many, or none", large.len(), small.len());
        return Err(field("max_size", message));
    }
    if let Some((small, large)) = small.iter().zip(large).find(|(small, large)| !(large > small && large.is_finite())) {
        return Err(field("max_size", format!("must be larger than its min_size {small}, is {large}")));
    }
    let whole = |sides: &[f32]| sides.iter().map(|&side| side as i32).collect();
    Ok((whole(small), whole(large)))
}

fn variances(given: &[f32]) -> Result<[f32; 4]> {
    if let Some(variance) = given.iter().find(|variance| !is_positive(**variance)) {
        return Err(field("variance", format!("must be above 0, is {variance}")));
    }
    match *given {
        [] => Ok([0.1; 4]),
        [one] => Ok([one; 4]),
        [a, b, c, d] => Ok([a, b, c, d]),
        _ => Err(field("variance", format!("is given {} times; give it once, or four times", given.len()))),
    }
}

fn image(options: &PriorBoxParameter) -> Result<Option<[usize; 2]>> {
    let positive = |value: Option<u32>, name: &str| match value {
        Some(value) if value > 0 => Ok(value as usize),
        _ => Err(field(name, "must be at least 1; img_h and img_w go together")),
    };
    match (options.img_size, options.img_h.or(options.img_w)) {
        (Some(_), Some(_)) => Err(field("img_size", "is given together with img_h or img_w; give one form")),
        (None, None) => Ok(None),
        (size, None) => positive(size, "img_size").map(|size| Some([size, size])),
        (None, _) => Ok(Some([positive(options.img_h, "img_h")?, positive(options.img_w, "img_w")?])),
    }
}

fn steps(options: &PriorBoxParameter) -> Result<Option<[f32; 2]>> {
    let positive = |value: Option<f32>, name: &str| match value {
        Some(value) if is_positive(value) => Ok(value),
        _ => Err(field(name, "must be above 0; step_h and step_w go together")),
    };
    match (options.step, options.step_h.or(options.step_w)) {
        (Some(_), Some(_)) => Err(field("step", "is given together with step_h or step_w; give one form")),
        (None, None) => Ok(None),
        (step, None) => positive(step, "step").map(|step| Some([step, step])),
        (None, _) => Ok(Some([positive(options.step_h, "step_h")?, positive(options.step_w, "step_w")?])),
    }
}

impl Layer for PriorBox {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let (plane, image) = (io.bottom(0).shape(), io.bottom(1).shape());
        let (&[_, _, rows, columns], &[_, _, height, width]) = (plane.dims(), image.dims()) else {
            return Err(Error::shape(format!("the bottoms need shape N×C×H×W, they are {plane} and {image}")));
        };
        let image = self.image.unwrap_or([height, width]);
        let top = shape_within(vec![1, 2, 4, self.priors.sizes.len(), rows, columns], "prior_box_param")?;
        if top.count() == 0 || image.contains(&0) {
            return Err(Error::shape(format!("plane ({plane}) and image ({}×{}) need values", image[0], image[1])));
        }
        self.priors.positions = [rows, columns];
        self.priors.image = image;
        self.priors.steps = self.steps.unwrap_or([image[0] as f32 / rows as f32, image[1] as f32 / columns as f32]);
        io.set_top_shape(0, &[1, 2, top.count() / 2].into())?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        boxes::priors(io.device(), &self.priors, io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.bottom_gradients.contains(&true) {
            let message = "PriorBox has no gradient: its boxes depend on the shapes only; set it to false";
            return Err(Error::config("propagate_down", message));
        }
        Ok(())
    }

    fn allows_forced_gradient(&self, _bottom: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{Trial, assert_close};

    fn message(options: PriorBoxParameter) -> LayerParameter {
        LayerParameter { r#type: Some("PriorBox".into()), prior_box_param: Some(options), ..Default::default() }
    }

    fn sized(min_size: &[f32]) -> PriorBoxParameter {
        PriorBoxParameter { min_size: min_size.to_vec(), ..Default::default() }
    }

    /// Runs over a plane of `rows`×`columns` and an image of 30 rows and 40 columns.
    fn run(options: PriorBoxParameter, [rows, columns]: [usize; 2]) -> Result<Trial> {
        let plane = Trial::of(&message(options)).constant([2, 3, rows, columns], vec![0.0; 6 * rows * columns]);
        plane.constant([2, 3, 30, 40], vec![0.0; 7200]).run()
    }

    #[test]
    fn squares_and_ratios_stand_around_each_centre() {
        let options = PriorBoxParameter { max_size: vec![9.0], aspect_ratio: vec![4.0], ..sized(&[4.9]) };
        let trial = run(options, [1, 2]).unwrap();
        // Two positions with four boxes: 4 (SSD cuts 4.9), √(4·9) = 6, 8×2 and 2×8.
        assert_eq!(trial.top_shape(0), [1, 2, 32]);
        let mut expected = Vec::new();
        for x in [10.0, 30.0] {
            for (width, height) in [(4.0, 4.0), (6.0, 6.0), (8.0, 2.0), (2.0, 8.0)] {
                expected.extend([(x - width / 2.0) / 40.0, (15.0 - height / 2.0) / 30.0]);
                expected.extend([(x + width / 2.0) / 40.0, (15.0 + height / 2.0) / 30.0]);
            }
        }
        expected.extend([0.1; 32]);
        assert_close(&trial.top(0), &expected);
    }

    #[test]
    fn ratios_count_once_and_may_stay_unflipped() {
        let count = |ratios: &[f32], flip| {
            let options = PriorBoxParameter { aspect_ratio: ratios.to_vec(), flip: Some(flip), ..sized(&[4.0, 8.0]) };
            run(options, [1, 1]).unwrap().top_shape(0)[2] / 4
        };
        assert_eq!([count(&[], true), count(&[1.0, 2.0, 2.0], true), count(&[2.0, 3.0], false)], [2, 6, 6]);
    }

    #[test]
    fn sizes_and_steps_may_be_given() {
        let options = PriorBoxParameter {
            img_h: Some(10),
            img_w: Some(20),
            step: Some(8.0),
            offset: Some(0.25),
            clip: Some(true),
            variance: vec![0.1, 0.2, 0.3, 0.4],
            ..sized(&[6.0])
        };
        let trial = run(options, [1, 2]).unwrap();
        // Centres at (2, 2) and (10, 2).
        let boxes = [0.0, 0.0, 5.0 / 20.0, 0.5, 7.0 / 20.0, 0.0, 13.0 / 20.0, 0.5];
        assert_close(&trial.top(0)[..8], &boxes);
        assert_eq!(trial.top(0)[8..], [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3, 0.4]);
    }

    #[test]
    fn wrong_options_are_named() {
        let plain = || sized(&[4.0]);
        let cases = [
            ("min_size", sized(&[])),
            ("min_size", sized(&[4.0, 0.5])),
            ("min_size", sized(&[f32::INFINITY])),
            ("max_size", PriorBoxParameter { max_size: vec![4.0], ..plain() }),
            ("max_size", PriorBoxParameter { max_size: vec![5.0, 6.0], ..plain() }),
            ("aspect_ratio", PriorBoxParameter { aspect_ratio: vec![2.0, 0.0], ..plain() }),
            ("variance", PriorBoxParameter { variance: vec![0.1, 0.2], ..plain() }),
            ("variance", PriorBoxParameter { variance: vec![-0.1], ..plain() }),
            ("img_size", PriorBoxParameter { img_size: Some(0), ..plain() }),
            ("img_size", PriorBoxParameter { img_size: Some(3), img_w: Some(3), ..plain() }),
            ("img_w", PriorBoxParameter { img_h: Some(3), ..plain() }),
            ("step", PriorBoxParameter { step: Some(0.0), ..plain() }),
            ("step", PriorBoxParameter { step: Some(1.0), step_h: Some(1.0), ..plain() }),
            ("step_w", PriorBoxParameter { step_h: Some(1.0), ..plain() }),
        ];
        for (field, options) in cases {
            let error = run(options, [1, 2]).err().unwrap().to_string();
            assert!(error.contains(&format!("prior_box_param.{field}:")), "{error}");
        }
    }

    #[test]
    fn there_is_no_gradient() {
        let trial = Trial::of(&message(sized(&[4.0]))).bottom([1, 1, 1, 1], [0.0]).constant([1, 1, 8, 8], [0.0; 64]);
        assert!(trial.run().unwrap().backward().unwrap_err().to_string().contains("no gradient"));
    }
}
