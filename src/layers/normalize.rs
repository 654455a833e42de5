//! `Normalize`: y = γ·x / √(Σ x² + eps), the sum over the image or over the channels of each place (SSD's fork of Caffe; Liu et
//! al., *ParseNet*, arXiv 1506.04579, section 3.3).
//!
//! | option (`norm_param`) | default | meaning |
//! |---|---|---|
//! | `across_spatial` | true | the sum runs over the whole image; false: over the channels of a place |
//! | `channel_shared` | true | one γ for all channels; false: one for each |
//! | `scale_filler` | constant 1 | initial γ |
//! | `eps` | 1e-10 | added to the sum of squares; at least the smallest normal number |
//!
//! Bottom: x (N×C or N×C×...). Top: y, shaped as x. Parameter: γ (a scalar, or C). x's gradient is exact; the fork leaves γ out of
//! the sum in it, which comes to the same only where all channels have the same γ.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, Setup},
    ops::normalize::{self, Geometry},
    proto::{FillerParameter, LayerParameter, NormalizeParameter},
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct Normalize {
    options: NormalizeParameter,
    geometry: Geometry,
    norms: Buffer,
    sums: Buffer,
}

impl Normalize {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `eps` is negative.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.norm_param.clone().unwrap_or_default();
        if !(options.eps() >= 0.0 && options.eps().is_finite()) {
            return Err(Error::config("norm_param.eps", format!("must not be negative, is {}", options.eps())));
        }
        let (geometry, norms, sums) = (Geometry::default(), Buffer::default(), Buffer::default());
        Ok(Box::new(Normalize { options, geometry, norms, sums }))
    }
}

impl Layer for Normalize {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let x = &setup.bottoms[0];
        let &[_, channels, ..] = x.dims() else {
            return Err(Error::shape(format!("the bottom needs channels (N×C×...), its shape is {x}")));
        };
        let shape = if self.options.channel_shared() { Shape::scalar() } else { Shape::from([channels]) };
        let ones = FillerParameter { r#type: Some("constant".into()), value: Some(1.0), ..FillerParameter::default() };
        let filler = self.options.scale_filler.clone().unwrap_or(ones);
        setup.add_parameter(shape, &filler, "norm_param.scale_filler")
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let (x, factors) = (io.bottom(0).shape(), io.parameter(0));
        let fits = x.axes() >= 2 && (self.options.channel_shared() || x.dims()[1] == factors.count());
        if !fits {
            return Err(Error::shape(format!("the bottom is {x}, γ is for {} channels", factors.count())));
        }
        self.geometry = Geometry {
            images: x.dims()[0],
            channels: x.dims()[1],
            places: x.count_from(2),
            is_whole: self.options.across_spatial(),
            eps: self.options.eps().max(f32::MIN_POSITIVE),
        };
        self.norms.resize(self.geometry.lengths());
        self.sums.resize(self.geometry.lengths());
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (x, factors, y) = (io.bottom(0).data(), io.parameter(0).data(), io.top(0).data());
        normalize::forward(io.device(), &self.geometry, x, factors, &self.norms, y);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (x, dy) = (io.bottom(0).data(), io.top(0).diff());
        if io.wants_parameter_gradient(0) {
            let diff = io.parameter(0).diff();
            normalize::backward_factors(io.device(), &self.geometry, [x, &self.norms, dy], diff);
        }
        if io.wants_bottom_gradient(0) {
            let sources = [x, io.parameter(0).data(), &self.norms, dy];
            normalize::backward(io.device(), &self.geometry, sources, &self.sums, io.bottom(0).diff());
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Bottom(_))
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{FillerParameter, LayerParameter, NormalizeParameter},
    };

    fn message(across_spatial: bool, channel_shared: bool) -> LayerParameter {
        let filler =
            FillerParameter { r#type: Some("uniform".into()), min: Some(1.0), max: Some(3.0), ..Default::default() };
        let options = NormalizeParameter {
            across_spatial: Some(across_spatial),
            channel_shared: Some(channel_shared),
            scale_filler: Some(filler),
            ..Default::default()
        };
        LayerParameter { r#type: Some("Normalize".into()), norm_param: Some(options), ..Default::default() }
    }

    #[test]
    fn lengths_are_of_places_or_of_images() {
        let x = [3.0, 0.0, 4.0, 2.0];
        let plain = |across_spatial| {
            let mut message = message(across_spatial, true);
            message.norm_param.as_mut().unwrap().scale_filler = None;
            Trial::of(&message).bottom([1, 2, 1, 2], x).run().unwrap().top(0)
        };
        assert_close(&plain(false), &[0.6, 0.0, 0.8, 1.0]);
        let length = 29.0_f32.sqrt();
        assert_close(&plain(true), &x.map(|x| x / length));
    }

    #[test]
    fn each_channel_has_its_factor() {
        let trial = Trial::of(&message(false, false)).bottom([1, 2, 1, 2], [3.0, 0.0, 4.0, 2.0]).run().unwrap();
        let factors = trial.parameter(0).data().host().to_vec();
        assert_close(&trial.top(0), &[0.6 * factors[0], 0.0, 0.8 * factors[1], factors[1]]);
        assert_eq!(Trial::of(&message(true, true)).bottom([1, 2], [1.0; 2]).run().unwrap().parameter(0).count(), 1);
    }

    #[test]
    fn gradients() {
        for (across, shared) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut trial = Trial::of(&message(across, shared)).bottom([2, 3, 2, 2], values(24, 1)).run().unwrap();
            GradientCheck { step: 1e-3, threshold: 5e-3, ..GradientCheck::default() }.run_each(&mut trial);
        }
    }

    #[test]
    fn zeros_stay_zero() {
        let mut trial = Trial::of(&message(false, true)).bottom([1, 2, 2], [0.0; 4]).run().unwrap();
        trial.set_top_diff(0, &[0.0; 4]);
        trial.backward().unwrap();
        assert_eq!((trial.top(0), trial.bottom_diff(0)), (vec![0.0; 4], vec![0.0; 4]));
    }

    #[test]
    fn wrong_options_and_shapes_are_named() {
        let mut negative = message(true, true);
        negative.norm_param.as_mut().unwrap().eps = Some(-1.0);
        let error = Trial::of(&negative).bottom([1, 2], [1.0; 2]).build().err().unwrap().to_string();
        assert!(error.contains("norm_param.eps"), "{error}");
        assert!(Trial::of(&message(true, true)).bottom([2], [1.0; 2]).build().is_err());
        let mut trial = Trial::of(&message(true, false)).bottom([1, 2], [1.0; 2]).run().unwrap();
        assert!(trial.set_bottom(0, [1, 3], &[1.0; 3]).unwrap_err().to_string().contains("γ is for 2 channels"));
    }
}
