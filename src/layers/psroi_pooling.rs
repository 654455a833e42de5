//! `PSROIPooling`: the mean value of each bin of each region, every bin reading channels of its own (Dai et al., *R-FCN*, arXiv
//! 1605.06409, section 2, and its fork of Caffe).
//!
//! | option (`psroi_pooling_param`) | default | meaning |
//! |---|---|---|
//! | `output_dim` | required | channels of the result, M |
//! | `group_size` | required | g, bins of a region along each axis |
//! | `spatial_scale` | required | positions of x for each unit of the regions' coordinates |
//!
//! A region's corners are rounded to whole units (halves away from 0) and then scaled, the last one after 1 is added; it is at
//! least 0.1 positions long. With bins of h rows, bin i covers rows ⌊i·h + y₁⌋ to ⌈(i + 1)·h + y₁⌉ − 1, as far as they lie in the
//! plane, and is 0 when none does; the columns alike. Bin (i, j) of channel m is the mean over channel (m·g + i)·g + j of x.
//!
//! Bottoms: x (N×(M·g·g)×H×W); the regions (R×5: the image's number in the batch, x₁, y₁, x₂, y₂), which get no gradient. Top: y
//! (R×M×g×g).

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, loss, regions, shape_within},
    ops::roi::{self, Geometry, Region},
    proto::LayerParameter,
};

/// The layer; see the module's text.
pub struct PsRoiPooling {
    results: usize,
    geometry: Geometry,
    regions: Vec<Region>,
}

impl PsRoiPooling {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When one is missing or not above 0.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.psroi_pooling_param.unwrap_or_default();
        let positive = |value: i32, field: &str| {
            let value = usize::try_from(value).ok().filter(|value| *value > 0);
            let message = "must be given, and at least 1";
            value.ok_or_else(|| Error::config(format!("psroi_pooling_param.{field}"), message))
        };
        let results = positive(options.output_dim(), "output_dim")?;
        let group = positive(options.group_size(), "group_size")?;
        let scale = regions::check_scale(options.spatial_scale(), "psroi_pooling_param.spatial_scale")?;
        let geometry = Geometry { bins: [group, group], scale, ..Geometry::default() };
        Ok(Box::new(PsRoiPooling { results, geometry, regions: Vec::new() }))
    }
}

impl Layer for PsRoiPooling {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let ([images, channels, height, width], count) = regions::shapes(io)?;
        let [group, _] = self.geometry.bins;
        let needed = shape_within(vec![self.results, group, group], "psroi_pooling_param.group_size")?.count();
        if channels != needed {
            let message = format!(
                "{} and group_size {group} need {needed} channels, bottom 0 is {}",
                self.results,
                io.bottom(0).shape()
            );
            return Err(Error::config("psroi_pooling_param.output_dim", message));
        }
        self.geometry = Geometry { images, channels, height, width, ..self.geometry };
        io.set_top_shape(0, &shape_within(vec![count, self.results, group, group], "psroi_pooling_param")?)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        regions::read(io, &mut self.regions)?;
        roi::average_forward(io.device(), &self.geometry, &self.regions, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(1) {
            return Err(loss::no_label_gradient());
        }
        if io.wants_bottom_gradient(0) {
            roi::average_backward(io.device(), &self.geometry, &self.regions, io.top(0).diff(), io.bottom(0).diff());
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
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{LayerParameter, PsroiPoolingParameter},
    };

    fn message(output_dim: i32, group_size: i32, spatial_scale: f32) -> LayerParameter {
        let options = PsroiPoolingParameter {
            output_dim: Some(output_dim),
            group_size: Some(group_size),
            spatial_scale: Some(spatial_scale),
        };
        LayerParameter { r#type: Some("PSROIPooling".into()), psroi_pooling_param: Some(options), ..Default::default() }
    }

    #[test]
    fn each_bin_reads_its_own_channel() {
        // Channel c holds c everywhere, so that each bin says which channel it read.
        let x: Vec<f32> = (0..8 * 16).map(|place| (place / 16) as f32).collect();
        let trial = Trial::of(&message(2, 2, 1.0)).bottom([1, 8, 4, 4], x);
        let trial = trial.constant([1, 5], [0.0, 0.0, 0.0, 3.0, 3.0]).run().unwrap();
        assert_eq!(trial.top_shape(0), [1, 2, 2, 2]);
        assert_eq!(trial.top(0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }

    #[test]
    fn corners_are_rounded_then_scaled() {
        // One bin. Units 1.5 → 2 and 4.4 → 4, (4 + 1): positions 1 to 2.5 at a scale of 1/2, so columns 1 and 2. Rows 0 to 0.5: row 0.
        let x: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let trial = Trial::of(&message(1, 1, 0.5)).bottom([1, 1, 3, 4], x.clone());
        let trial = trial.constant([1, 5], [0.0, 1.5, 0.0, 4.4, 0.0]).run().unwrap();
        assert_close(&trial.top(0), &[1.5]);
        // Outside the plane: empty.
        let trial = Trial::of(&message(1, 1, 1.0)).bottom([1, 1, 3, 4], x);
        assert_eq!(trial.constant([1, 5], [0.0, 7.0, 0.0, 9.0, 1.0]).run().unwrap().top(0), [0.0]);
    }

    #[test]
    fn gradients() {
        let regions = [0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 1.0, 1.0, 3.0, 2.0, 0.0, 2.0, 0.0, 9.0, 1.0];
        for scale in [1.0, 0.6] {
            let trial = Trial::of(&message(1, 2, scale)).bottom([2, 4, 3, 3], values(72, 1)).constant([3, 5], regions);
            GradientCheck::default().run_each(&mut trial.run().unwrap());
        }
    }

    #[test]
    fn wrong_regions_and_options_are_named() {
        let run = |message: &LayerParameter, region: [f32; 5]| {
            let trial = Trial::of(message).bottom([2, 4, 3, 3], values(72, 1)).constant([1, 5], region);
            trial.run().err().unwrap().to_string()
        };
        assert!(run(&message(1, 2, 1.0), [2.0, 0.0, 0.0, 1.0, 1.0]).contains("not one of the 2"));
        assert!(run(&message(1, 2, 1.0), [0.0, f32::INFINITY, 0.0, 1.0, 1.0]).contains("has a corner at inf"));
        assert!(run(&message(2, 2, 1.0), [0.0; 5]).contains("need 8 channels"));
        assert!(run(&message(0, 2, 1.0), [0.0; 5]).contains("psroi_pooling_param.output_dim"));
        assert!(run(&message(1, -2, 1.0), [0.0; 5]).contains("psroi_pooling_param.group_size"));
        assert!(run(&message(i32::MAX, i32::MAX, 1.0), [0.0; 5]).contains("psroi_pooling_param.group_size"));
        assert!(run(&message(1, 2, f32::NAN), [0.0; 5]).contains("psroi_pooling_param.spatial_scale"));
    }
}
