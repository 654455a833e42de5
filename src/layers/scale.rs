//! `Scale`: y = γ·x (+ β), γ and β broadcast over the axes that they do not cover.
//!
//! | option (`scale_param`) | default | meaning |
//! |---|---|---|
//! | `axis` | 1 | first axis of x that γ covers; negative counts from the end |
//! | `num_axes` | 1 | how many axes γ covers; -1 all from `axis`; 0 a single value |
//! | `filler` | constant 1 | initial γ |
//! | `bias_term` | false | learn β too |
//! | `bias_filler` | constant 0 | initial β |
//!
//! Bottoms: x (N×…); optionally γ as a second bottom instead of a parameter, whose shape says which axes it covers. Tops: y,
//! shaped as x; may be x in place. Parameters: γ unless it is a bottom, then β.

use crate::{
    error::Result,
    layers::{End, Follower, Io, Layer, Setup, spans::Placement},
    ops::{
        broadcast::{self, Spans, Sums},
        elementwise,
    },
    proto::{FillerParameter, LayerParameter, ScaleParameter},
    tensor::{Blob, Buffer, Device},
};

/// The layer; see the module's text.
pub struct Scale {
    options: ScaleParameter,
    placement: Placement,
    spans: Spans,
    /// x as it was before y was written over it.
    kept: Buffer,
    sums: Sums,
}

impl Scale {
    /// Reads the options.
    ///
    /// # Errors
    /// None: axes are checked in setup, when x is known.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.scale_param.clone().unwrap_or_default();
        let placement = Placement { axis: options.axis(), num_axes: options.num_axes(), options: "scale_param" };
        let (kept, sums) = (Buffer::default(), Sums::default());
        Ok(Box::new(Scale { options, placement, spans: Spans::default(), kept, sums }))
    }

    /// β's position among the parameters, if there is a β.
    fn bias(&self, io: &Io<'_>) -> Option<usize> {
        self.options.bias_term().then_some(io.parameters.len().wrapping_sub(1))
    }

    fn wants_factor_gradient(&self, io: &Io<'_>) -> bool {
        if io.bottoms.len() == 2 { io.wants_bottom_gradient(1) } else { io.wants_parameter_gradient(0) }
    }

    fn wants_bias_gradient(&self, io: &Io<'_>) -> bool {
        self.bias(io).is_some_and(|bias| io.wants_parameter_gradient(bias))
    }
}

/// γ: the second bottom or the first parameter.
fn factors<'a>(io: &'a Io<'_>) -> &'a Blob {
    if io.bottoms.len() == 2 { io.bottom(1) } else { io.parameter(0) }
}

impl Layer for Scale {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let shape = match setup.bottoms.get(1) {
            Some(factors) => factors.clone(),
            None => self.placement.parameter_shape(&setup.bottoms[0])?,
        };
        // Also checks the axes of a second bottom before β takes its shape.
        self.placement.spans(&setup.bottoms[0], &shape)?;
        if setup.bottoms.len() == 1 {
            let ones = FillerParameter { value: Some(1.0), ..FillerParameter::default() };
            let filler = self.options.filler.clone().unwrap_or(ones);
            setup.add_parameter(shape.clone(), &filler, "scale_param.filler")?;
        }
        if self.options.bias_term() {
            let filler = self.options.bias_filler.clone().unwrap_or_default();
            setup.add_parameter(shape, &filler, "scale_param.bias_filler")?;
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.spans = self.placement.spans(io.bottom(0).shape(), factors(io).shape())?;
        self.sums.resize(self.spans.dim);
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x, y) = (io.device(), io.bottom(0).data(), io.top(0).data());
        if x.is_same(y) && self.wants_factor_gradient(io) {
            self.kept.resize(x.len());
            elementwise::copy(device, x, &self.kept);
        }
        let shifts = self.bias(io).map(|bias| io.parameter(bias).data());
        broadcast::affine(device, self.spans, x, Some(factors(io).data()), shifts, y);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x, dy) = (io.device(), io.bottom(0).data(), io.top(0).diff());
        let wants_factors = self.wants_factor_gradient(io);
        if wants_factors || self.wants_bias_gradient(io) {
            let x = if x.is_same(io.top(0).data()) { &self.kept } else { x };
            broadcast::sums(device, self.spans, dy, wants_factors.then_some(x), &self.sums);
        }
        if wants_factors {
            let (sums, factors) = (&self.sums.products, factors(io).diff());
            match io.bottoms.len() {
                2 => elementwise::copy(device, sums, factors),
                _ => elementwise::add(device, sums, factors, factors),
            }
        }
        if let Some(bias) = self.bias(io).filter(|&bias| io.wants_parameter_gradient(bias)) {
            let bias = io.parameter(bias).diff();
            elementwise::add(device, &self.sums.plain, bias, bias);
        }
        if io.wants_bottom_gradient(0) {
            broadcast::affine(device, self.spans, dy, Some(factors(io).data()), None, io.bottom(0).diff());
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Bottom(_))
    }

    fn gradient_in_place(&self, bottom: usize, _device: Device) -> Option<usize> {
        (bottom == 0).then_some(0)
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn as_follower(&self) -> Option<Follower> {
        (self.placement.axis == 1 && self.placement.num_axes == 1).then_some(Follower::Scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{GradientCheck, Trial, assert_close, values};

    fn scale(axis: i32, num_axes: i32, bias_term: bool) -> LayerParameter {
        let uniform = || Some(FillerParameter { r#type: Some("uniform".into()), ..FillerParameter::default() });
        let options = ScaleParameter {
            axis: Some(axis),
            num_axes: Some(num_axes),
            bias_term: Some(bias_term),
            filler: uniform(),
            bias_filler: uniform(),
        };
        LayerParameter { r#type: Some("Scale".into()), scale_param: Some(options), ..Default::default() }
    }

    /// y by the definition: value i of x goes with value i / inner % dim of γ.
    fn expected(x: &[f32], factors: &[f32], shifts: Option<&[f32]>, inner: usize) -> Vec<f32> {
        let place = |i: usize| i / inner % factors.len();
        x.iter().enumerate().map(|(i, x)| x * factors[place(i)] + shifts.map_or(0.0, |s| s[place(i)])).collect()
    }

    #[test]
    fn factors_cover_the_axes_they_name() {
        let x = values(120, 1);
        let cases = [
            (1, 1, vec![3], 20),
            (0, 2, vec![2, 3], 20),
            (2, -1, vec![4, 5], 1),
            (-2, 1, vec![4], 5),
            (1, 0, vec![], 120),
        ];
        for (axis, num_axes, shape, inner) in cases {
            for bias in [false, true] {
                let trial = Trial::of(&scale(axis, num_axes, bias)).bottom([2, 3, 4, 5], x.clone()).run().unwrap();
                assert_eq!(trial.parameter(0).shape().dims(), shape);
                let data = |parameter: usize| trial.parameter(parameter).data().host().to_vec();
                let shifts = bias.then(|| data(1));
                assert_close(&trial.top(0), &expected(&x, &data(0), shifts.as_deref(), inner));
            }
        }
    }

    #[test]
    fn without_fillers_nothing_changes() {
        let layer = LayerParameter {
            r#type: Some("Scale".into()),
            scale_param: Some(ScaleParameter { bias_term: Some(true), ..Default::default() }),
            ..Default::default()
        };
        let trial = Trial::of(&layer).bottom([2, 3], values(6, 1)).run().unwrap();
        assert_eq!(trial.top(0), values(6, 1));
    }

    #[test]
    fn gradients_apart_and_in_place() {
        for (axis, num_axes) in [(1, 1), (0, 2), (1, -1), (0, -1), (0, 0), (-1, 1)] {
            let layer = scale(axis, num_axes, true);
            let bottom = || Trial::of(&layer).bottom([2, 3, 2, 2], values(24, 1));
            GradientCheck::default().run_each(&mut bottom().run().unwrap());
            GradientCheck::default().run_each(&mut bottom().in_place().run().unwrap());
        }
    }

    #[test]
    fn gradients_of_a_second_bottom() {
        for bias in [false, true] {
            let bottoms = || Trial::of(&scale(1, 1, bias)).bottom([2, 3, 2, 2], values(24, 1));
            for factors in [vec![3], vec![3, 2], vec![3, 2, 2]] {
                let count = factors.iter().product();
                let with_factors = || bottoms().bottom(factors.clone().as_slice(), values(count, 2));
                GradientCheck::default().run_each(&mut with_factors().run().unwrap());
                GradientCheck::default().run_each(&mut with_factors().in_place().run().unwrap());
            }
        }
    }

    #[test]
    fn many_values_are_summed_as_the_definition() {
        let (outer, dim, inner) = (7, 130, 300);
        let count = outer * dim * inner;
        let (x, dy) = (values(count, 1), values(count, 2));
        let mut trial = Trial::of(&scale(1, 1, true)).bottom([outer, dim, inner], x.clone()).run().unwrap();
        trial.set_top_diff(0, &dy);
        trial.backward().unwrap();
        let mut expected = vec![[0.0; 2]; dim];
        for (i, (x, dy)) in x.iter().zip(&dy).enumerate() {
            let sums = &mut expected[i / inner % dim];
            *sums = [sums[0] + f64::from(x * dy), sums[1] + f64::from(*dy)];
        }
        for parameter in [0, 1] {
            let sums: Vec<f32> = expected.iter().map(|sums| sums[parameter] as f32).collect();
            assert_close(&trial.parameter(parameter).diff().host(), &sums);
        }
    }

    #[test]
    fn axes_that_do_not_exist_are_refused() {
        let message = |axis, num_axes| {
            Trial::of(&scale(axis, num_axes, false)).bottom([2, 3], values(6, 1)).build().err().unwrap().to_string()
        };
        assert!(message(2, 1).contains("scale_param.axis: axis 2 does not exist"));
        assert!(message(1, 2).contains("scale_param.num_axes: must be -1 (all) or 0 to 1"));
        assert!(message(1, -2).contains("not -2"));
        let trial = Trial::of(&scale(1, 1, false)).bottom([2, 3], values(6, 1)).bottom([4], values(4, 1)).build();
        assert!(trial.err().unwrap().to_string().contains("shape 4 does not fit shape 2×3 from axis 1 on"));
    }
}
