//! `Bias`: y = x + β, β broadcast over the axes that it does not cover.
//!
//! | option (`bias_param`) | default | meaning |
//! |---|---|---|
//! | `axis` | 1 | first axis of x that β covers; negative counts from the end |
//! | `num_axes` | 1 | how many axes β covers; -1 all from `axis`; 0 a single value |
//! | `filler` | constant 0 | initial β |
//!
//! Bottoms: x (N×…); optionally β as a second bottom instead of a parameter, whose shape says which axes it covers. Tops: y,
//! shaped as x; may be x in place.

use crate::{
    error::Result,
    layers::{End, Io, Layer, Setup, spans::Placement},
    ops::{
        broadcast::{self, Spans, Sums},
        elementwise,
    },
    proto::{FillerParameter, LayerParameter},
    tensor::{Blob, Device},
};

/// The layer; see the module's text.
pub struct Bias {
    filler: FillerParameter,
    placement: Placement,
    spans: Spans,
    sums: Sums,
}

impl Bias {
    /// Reads the options.
    ///
    /// # Errors
    /// None: axes are checked in setup, when x is known.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.bias_param.clone().unwrap_or_default();
        let placement = Placement { axis: options.axis(), num_axes: options.num_axes(), options: "bias_param" };
        let filler = options.filler.unwrap_or_default();
        Ok(Box::new(Bias { filler, placement, spans: Spans::default(), sums: Sums::default() }))
    }
}

/// β: the second bottom or the parameter.
fn shifts<'a>(io: &'a Io<'_>) -> &'a Blob {
    if io.bottoms.len() == 2 { io.bottom(1) } else { io.parameter(0) }
}

impl Layer for Bias {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        if setup.bottoms.len() == 1 {
            let shape = self.placement.parameter_shape(&setup.bottoms[0])?;
            setup.add_parameter(shape, &self.filler, "bias_param.filler")?;
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.spans = self.placement.spans(io.bottom(0).shape(), shifts(io).shape())?;
        self.sums.resize(self.spans.dim);
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (x, y) = (io.bottom(0).data(), io.top(0).data());
        broadcast::affine(io.device(), self.spans, x, None, Some(shifts(io).data()), y);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, dy) = (io.device(), io.top(0).diff());
        let is_bottom = io.bottoms.len() == 2;
        let wanted = if is_bottom { io.wants_bottom_gradient(1) } else { io.wants_parameter_gradient(0) };
        if wanted {
            broadcast::sums(device, self.spans, dy, None, &self.sums);
            let (sums, shifts) = (&self.sums.plain, shifts(io).diff());
            match is_bottom {
                true => elementwise::copy(device, sums, shifts),
                false => elementwise::add(device, sums, shifts, shifts),
            }
        }
        if io.wants_bottom_gradient(0) {
            elementwise::copy(device, dy, io.bottom(0).diff());
        }
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
    }

    fn gradient_in_place(&self, bottom: usize, _device: Device) -> Option<usize> {
        (bottom == 0).then_some(0)
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::BiasParameter,
    };

    fn bias(axis: i32, num_axes: i32) -> LayerParameter {
        let filler = Some(FillerParameter { r#type: Some("uniform".into()), ..FillerParameter::default() });
        let options = BiasParameter { axis: Some(axis), num_axes: Some(num_axes), filler };
        LayerParameter { r#type: Some("Bias".into()), bias_param: Some(options), ..Default::default() }
    }

    #[test]
    fn adds_to_the_axes_it_covers() {
        let x = values(24, 1);
        let trial = Trial::of(&bias(1, 1)).bottom([2, 3, 4], x.clone()).run().unwrap();
        let shifts = trial.parameter(0).data().host().to_vec();
        let expected: Vec<f32> = x.iter().enumerate().map(|(i, x)| x + shifts[i / 4 % 3]).collect();
        assert_eq!(trial.top(0), expected);
    }

    #[test]
    fn gradients_apart_and_in_place() {
        for (axis, num_axes) in [(1, 1), (0, 2), (0, -1), (0, 0), (-1, 1)] {
            let layer = bias(axis, num_axes);
            let bottom = || Trial::of(&layer).bottom([2, 3, 2], values(12, 1));
            GradientCheck::default().run_each(&mut bottom().run().unwrap());
            GradientCheck::default().run_each(&mut bottom().in_place().run().unwrap());
        }
        let with_shifts = || Trial::of(&bias(1, 1)).bottom([2, 3, 2], values(12, 1)).bottom([3, 2], values(6, 2));
        GradientCheck::default().run_each(&mut with_shifts().run().unwrap());
        GradientCheck::default().run_each(&mut with_shifts().in_place().run().unwrap());
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let trial = Trial::of(&bias(1, 1)).bottom([2, 3], values(6, 1)).bottom([2], values(2, 1)).build();
        assert!(trial.err().unwrap().to_string().contains("shape 2 does not fit shape 2×3 from axis 1 on"));
        let trial = Trial::of(&bias(1, 5)).bottom([2, 3], values(6, 1)).build();
        assert!(trial.err().unwrap().to_string().contains("bias_param.num_axes: must be -1 (all) or 0 to 1"));
    }
}
