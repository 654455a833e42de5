//! `ROIPooling`: the largest value of each bin of each region (Girshick, *Fast R-CNN*, arXiv 1504.08083, section 2.1, and its
//! fork of Caffe).
//!
//! | option (`roi_pooling_param`) | default | meaning |
//! |---|---|---|
//! | `pooled_h`, `pooled_w` | required | bins of a region, down and across |
//! | `spatial_scale` | 1 | positions of x for each unit of the regions' coordinates |
//!
//! A region's corners are multiplied by `spatial_scale` and rounded to positions (halves away from 0), of which both belong to
//! it: h = y₂ − y₁ + 1 rows, at least 1. Bin i covers rows ⌊i·h/`pooled_h`⌋ to ⌈(i + 1)·h/`pooled_h`⌉ − 1 of them, as far as they
//! lie in the plane, and is 0 when none does; the columns alike.
//!
//! Bottoms: x (N×C×H×W); the regions (R×5: the image's number in the batch, x₁, y₁, x₂, y₂), which get no gradient. Top: y
//! (R×C×`pooled_h`×`pooled_w`).

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, loss, regions, shape_within},
    ops::roi::{self, Geometry, Region, Winners},
    proto::LayerParameter,
};

/// The layer; see the module's text.
pub struct RoiPooling {
    geometry: Geometry,
    regions: Vec<Region>,
    winners: Winners,
}

impl RoiPooling {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When there are no bins, or the scale is not above 0.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.roi_pooling_param.unwrap_or_default();
        for (field, bins) in [("pooled_h", options.pooled_h()), ("pooled_w", options.pooled_w())] {
            if bins == 0 {
                return Err(Error::config(format!("roi_pooling_param.{field}"), "must be given, and at least 1"));
            }
        }
        let scale = regions::check_scale(options.spatial_scale(), "roi_pooling_param.spatial_scale")?;
        let bins = [options.pooled_h() as usize, options.pooled_w() as usize];
        let geometry = Geometry { bins, scale, ..Geometry::default() };
        Ok(Box::new(RoiPooling { geometry, regions: Vec::new(), winners: Winners::default() }))
    }
}

impl Layer for RoiPooling {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let ([images, channels, height, width], count) = regions::shapes(io)?;
        self.geometry = Geometry { images, channels, height, width, ..self.geometry };
        let [down, across] = self.geometry.bins;
        shape_within(vec![down, across], "roi_pooling_param")?;
        io.set_top_shape(0, &shape_within(vec![count, channels, down, across], "roi_pooling_param")?)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        regions::read(io, &mut self.regions)?;
        self.winners.resize(io.top(0).count());
        let (x, y) = (io.bottom(0).data(), io.top(0).data());
        roi::max_forward(io.device(), &self.geometry, &self.regions, x, y, &mut self.winners);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(1) {
            return Err(loss::no_label_gradient());
        }
        if io.wants_bottom_gradient(0) {
            let (dy, dx) = (io.top(0).diff(), io.bottom(0).diff());
            roi::max_backward(io.device(), &self.geometry, &self.regions, dy, &self.winners, dx);
        }
        Ok(())
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom == 0
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{LayerParameter, RoiPoolingParameter},
    };

    fn message(pooled_h: u32, pooled_w: u32, spatial_scale: f32) -> LayerParameter {
        let options = RoiPoolingParameter {
            pooled_h: Some(pooled_h),
            pooled_w: Some(pooled_w),
            spatial_scale: Some(spatial_scale),
        };
        LayerParameter { r#type: Some("ROIPooling".into()), roi_pooling_param: Some(options), ..Default::default() }
    }

    /// Planes whose value at (row, column) is 10·row + column, plus 100 for each plane.
    fn ramp(planes: usize, height: usize, width: usize) -> Vec<f32> {
        let value = |place: usize| {
            let (plane, row) = (place / (height * width), place / width % height);
            (100 * plane + 10 * row + place % width) as f32
        };
        (0..planes * height * width).map(value).collect()
    }

    #[test]
    fn bins_hold_the_rows_and_columns_that_the_rule_says() {
        // Rows 1 to 3 in 2 bins: 1–2 and 2–3; columns 0 to 4 in 3: 0–1, 1–3, 3–4.
        let trial = Trial::of(&message(2, 3, 1.0)).bottom([1, 1, 5, 6], ramp(1, 5, 6));
        let trial = trial.constant([1, 5], [0.0, 0.0, 1.0, 4.0, 3.0]).run().unwrap();
        assert_eq!(trial.top_shape(0), [1, 1, 2, 3]);
        assert_eq!(trial.top(0), [21.0, 23.0, 24.0, 31.0, 33.0, 34.0]);
    }

    #[test]
    fn corners_are_scaled_and_rounded_halves_away_from_zero() {
        // Times 1/2: columns 0.5 → 1 to 1.5 → 2, rows 1 to 1; the second image's second channel is plane 3.
        let trial = Trial::of(&message(1, 1, 0.5)).bottom([2, 2, 3, 4], ramp(4, 3, 4));
        let trial = trial.constant([1, 5, 1, 1], [1.0, 1.0, 2.0, 3.0, 2.0]).run().unwrap();
        assert_eq!(trial.top(0), [212.0, 312.0]);
    }

    #[test]
    fn what_lies_outside_is_empty_and_reversed_corners_are_one_position() {
        let trial = Trial::of(&message(1, 2, 1.0)).bottom([1, 1, 3, 4], ramp(1, 3, 4));
        let regions = [0.0, 2.0, 0.0, 9.0, 0.0, 0.0, 3.0, 2.0, 1.0, 0.0, 0.0, -1e30, 1e30, 1e30, 1e30];
        let trial = trial.constant([3, 5], regions).run().unwrap();
        // Columns 2 to 5 in the plane, 6 to 9 outside; then position (2, 3) alone, which is in both bins; then nothing.
        assert_eq!(trial.top(0), [3.0, 0.0, 23.0, 23.0, 0.0, 0.0]);
    }

    #[test]
    fn gradients() {
        // Values that are far apart, so that no maximum changes.
        let x: Vec<f32> = (0..60).map(|place| ((place * 37) % 60) as f32 / 10.0).collect();
        let regions = [0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 1.0, 1.0, 3.0, 2.0, 0.0, 2.0, 0.0, 9.0, 1.0];
        let trial = Trial::of(&message(2, 2, 1.0)).bottom([2, 2, 3, 5], x).constant([3, 5], regions);
        GradientCheck::default().run_each(&mut trial.run().unwrap());
    }

    #[test]
    fn wrong_regions_and_options_are_named() {
        let run = |message: &LayerParameter, region: [f32; 5]| {
            let trial = Trial::of(message).bottom([2, 1, 3, 3], values(18, 1)).constant([1, 5], region);
            trial.run().err().unwrap().to_string()
        };
        for image in [2.0, -1.0, f32::NAN] {
            assert!(run(&message(1, 1, 1.0), [image, 0.0, 0.0, 1.0, 1.0]).contains("not one of the 2"));
        }
        assert!(run(&message(1, 1, 1.0), [0.0, 0.0, f32::NAN, 1.0, 1.0]).contains("has a corner at NaN"));
        assert!(run(&message(0, 1, 1.0), [0.0; 5]).contains("roi_pooling_param.pooled_h"));
        assert!(run(&message(1, 0, 1.0), [0.0; 5]).contains("roi_pooling_param.pooled_w"));
        assert!(run(&message(u32::MAX, u32::MAX, 1.0), [0.0; 5]).contains("roi_pooling_param"));
        assert!(run(&message(1, 1, 0.0), [0.0; 5]).contains("roi_pooling_param.spatial_scale"));
        let trial = Trial::of(&message(1, 1, 1.0)).bottom([2, 1, 3, 3], values(18, 1)).constant([1, 4], [0.0; 4]);
        assert!(trial.build().err().unwrap().to_string().contains("bottom 1 needs shape R×5"));
    }
}
