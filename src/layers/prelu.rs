//! `PReLU`: y = x where x > 0, a·x elsewhere, the slope a learned for each channel (He et al., *Delving Deep into Rectifiers*,
//! ICCV 2015).
//!
//! | option (`prelu_param`) | default | meaning |
//! |---|---|---|
//! | `filler` | constant 0.25 | initial slopes |
//! | `channel_shared` | false | one slope for all channels |
//!
//! Bottom: x (N×C×...). Top: y, shaped as x; may be x in place. Parameter: the slopes (C, or a scalar).

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, Setup},
    ops::{broadcast::Spans, elementwise, prelu},
    proto::{FillerParameter, LayerParameter, PReLuParameter},
    tensor::{Buffer, Device, Shape},
};

/// The layer; see the module's text.
pub struct Prelu {
    options: PReLuParameter,
    spans: Spans,
    /// x, when the layer writes y over it.
    kept: Buffer,
    /// Sums over single planes.
    sums: Buffer,
}

impl Prelu {
    /// Reads the options.
    ///
    /// # Errors
    /// None: the filler is checked when it fills.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.prelu_param.clone().unwrap_or_default();
        Ok(Box::new(Prelu { options, spans: Spans::default(), kept: Buffer::default(), sums: Buffer::default() }))
    }
}

impl Layer for Prelu {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let bottom = &setup.bottoms[0];
        if bottom.axes() < 2 {
            return Err(Error::shape(format!("the bottom needs a channel axis (N×C×...), its shape is {bottom}")));
        }
        let shape = if self.options.channel_shared() { Shape::scalar() } else { Shape::from([bottom.dims()[1]]) };
        let quarter = FillerParameter { value: Some(0.25), ..FillerParameter::default() };
        let filler = self.options.filler.clone().unwrap_or(quarter);
        setup.add_parameter(shape, &filler, "prelu_param.filler")
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (shape, slopes) = (io.bottom(0).shape(), io.parameter(0).count());
        if shape.axes() < 2 || !(self.options.channel_shared() || shape.dims()[1] == slopes) {
            return Err(Error::shape(format!("the bottom has shape {shape}, there are slopes for {slopes} channels")));
        }
        self.spans = Spans { outer: shape.dims()[0], dim: shape.dims()[1], inner: shape.count_from(2) };
        if self.options.channel_shared() {
            self.spans = Spans { outer: self.spans.outer * self.spans.dim, dim: 1, ..self.spans };
        }
        self.sums.resize(self.spans.outer * self.spans.dim);
        if io.bottoms == io.tops {
            self.kept.resize(shape.count());
        }
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x, y) = (io.device(), io.bottom(0).data(), io.top(0).data());
        if x.is_same(y) {
            elementwise::copy(device, x, &self.kept);
        }
        prelu::forward(device, self.spans, x, io.parameter(0).data(), y);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, top, bottom, slopes) = (io.device(), io.top(0), io.bottom(0), io.parameter(0));
        let x = if bottom.data().is_same(top.data()) { &self.kept } else { bottom.data() };
        if io.wants_parameter_gradient(0) {
            prelu::slope_gradient(device, self.spans, x, top.diff(), &self.sums, slopes.diff());
        }
        if io.wants_bottom_gradient(0) {
            prelu::backward(device, self.spans, x, slopes.data(), top.diff(), bottom.diff());
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
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{LayerParameter, PReLuParameter},
    };

    fn prelu(shared: bool) -> LayerParameter {
        let prelu_param = Some(PReLuParameter { channel_shared: Some(shared), ..Default::default() });
        LayerParameter { r#type: Some("PReLU".into()), prelu_param, ..Default::default() }
    }

    #[test]
    fn slopes_are_a_quarter_at_first() {
        let trial = Trial::of(&prelu(false)).bottom([1, 2, 2], [-4.0, 4.0, -8.0, 8.0]).run().unwrap();
        assert_eq!(trial.top(0), [-1.0, 4.0, -2.0, 8.0]);
        assert_eq!(trial.parameter(0).shape().dims(), [2]);
    }

    #[test]
    fn gradients_per_channel_and_shared() {
        for shared in [false, true] {
            let mut trial = Trial::of(&prelu(shared)).bottom([2, 3, 4], values(24, 1)).run().unwrap();
            let slopes = trial.parameter(0).count();
            trial.parameter(0).data().host_mut().copy_from_slice(&values(slopes, 2));
            GradientCheck::away_from(0.0, 0.01).run_each(&mut trial);
        }
    }

    #[test]
    fn in_place_gives_the_same_as_apart() {
        let mut gradients = Vec::new();
        for trial in [Trial::of(&prelu(false)), Trial::of(&prelu(false)).in_place()] {
            let mut trial = trial.bottom([2, 3, 4], values(24, 1)).run().unwrap();
            trial.set_top_diff(0, &values(24, 3));
            trial.backward().unwrap();
            gradients.push((trial.bottom_diff(0), trial.parameter(0).diff().host().to_vec()));
        }
        assert_eq!(gradients[0], gradients[1]);
        assert_close(&gradients[0].1, &gradients[1].1);
    }
}
