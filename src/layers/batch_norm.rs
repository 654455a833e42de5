//! `BatchNorm`: y = (x − μ) / √(σ² + ε), channel by channel (Ioffe and Szegedy, arXiv 1502.03167). A `Scale` with `bias_term`
//! behind it adds the paper's γ and β.
//!
//! | option (`batch_norm_param`) | default | meaning |
//! |---|---|---|
//! | `use_global_stats` | false in TRAIN, true in TEST | take μ and σ² from the parameters, not from the batch |
//! | `moving_average_fraction` | 0.999 | how much of the moving averages each batch keeps |
//! | `eps` | 1e-5 | ε |
//!
//! Bottom: x (N×C×…). Top: y, shaped as x; may be x in place. Parameters, moved by the layer and not by the solver: the
//! moving sums of μ (C) and of σ² (C), and their weight (1), by which they are divided for use. With m values per channel the
//! sums take m / (m − 1)·σ², the estimate without bias.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, Setup},
    ops::{
        batch_norm,
        broadcast::{Spans, Sums},
    },
    proto::{BatchNormParameter, FillerParameter, LayerParameter, Phase},
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct BatchNorm {
    options: BatchNormParameter,
    use_global_stats: bool,
    spans: Spans,
    mean: Buffer,
    /// √(σ² + ε) of the last forward run.
    deviation: Buffer,
    /// y of the last forward run: the layers behind may write over the top.
    kept: Buffer,
    sums: Sums,
    /// The single value 1, which each batch adds to the weight.
    one: Buffer,
}

impl BatchNorm {
    /// Reads the options.
    ///
    /// # Errors
    /// None: every value is allowed.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(BatchNorm {
            options: layer.batch_norm_param.unwrap_or_default(),
            use_global_stats: false,
            spans: Spans::default(),
            mean: Buffer::default(),
            deviation: Buffer::default(),
            kept: Buffer::default(),
            sums: Sums::default(),
            one: Buffer::from(vec![1.0]),
        }))
    }

    /// Adds the batch's statistics to the moving sums.
    fn move_averages(&self, io: &Io<'_>) {
        let (device, fraction) = (io.device(), self.options.moving_average_fraction());
        let count = self.spans.outer * self.spans.inner;
        let unbiased = if count > 1 { count as f32 / (count - 1) as f32 } else { 1.0 };
        for (parameter, weight, x) in [(0, 1.0, &self.mean), (1, unbiased, &self.deviation), (2, 1.0, &self.one)] {
            batch_norm::move_average(device, fraction, weight, x, io.parameter(parameter).data());
        }
    }
}

/// Images × channels × the rest.
fn spans(shape: &Shape) -> Result<Spans> {
    match *shape.dims() {
        [images, channels, ..] => Ok(Spans { outer: images, dim: channels, inner: shape.count_from(2) }),
        _ => Err(Error::shape(format!("BatchNorm takes N×C×…, the bottom has shape {shape}"))),
    }
}

impl Layer for BatchNorm {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        self.use_global_stats = self.options.use_global_stats.unwrap_or(setup.context.phase == Phase::Test);
        let channels = spans(&setup.bottoms[0])?.dim;
        for (parameter, count) in [channels, channels, 1].into_iter().enumerate() {
            setup.add_parameter(Shape::from([count]), &FillerParameter::default(), "batch_norm_param")?;
            setup.keep_from_solver(parameter)?;
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.spans = spans(io.bottom(0).shape())?;
        let channels = io.parameter(0).count();
        if self.spans.dim != channels {
            let message = format!("the bottom has shape {}, the layer {channels} channels", io.bottom(0).shape());
            return Err(Error::shape(message));
        }
        self.mean.resize(channels);
        self.deviation.resize(channels);
        if !self.use_global_stats {
            self.kept.resize(self.spans.count());
            self.sums.resize(channels);
        }
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x, y) = (io.device(), io.bottom(0).data(), io.top(0).data());
        if self.use_global_stats {
            let weight = io.parameter(2).data();
            batch_norm::read_average(device, io.parameter(0).data(), weight, &self.mean);
            batch_norm::read_average(device, io.parameter(1).data(), weight, &self.deviation);
        } else {
            batch_norm::batch_statistics(device, self.spans, x, &self.mean, &self.deviation);
            self.move_averages(io);
        }
        batch_norm::deviate(device, self.options.eps(), &self.deviation);
        let kept = (!self.use_global_stats).then_some(&self.kept);
        batch_norm::normalize(device, self.spans, x, [&self.mean, &self.deviation], y, kept);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if !io.wants_bottom_gradient(0) {
            return Ok(());
        }
        let (device, dx, dy) = (io.device(), io.bottom(0).diff(), io.top(0).diff());
        if self.use_global_stats {
            batch_norm::scale_back(device, self.spans, dy, &self.deviation, dx);
        } else {
            batch_norm::backward(device, self.spans, &self.kept, dy, &self.deviation, dx, &self.sums);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{BlobProto, ParamSpec},
    };

    fn batch_norm(options: BatchNormParameter) -> LayerParameter {
        LayerParameter { r#type: Some("BatchNorm".into()), batch_norm_param: Some(options), ..Default::default() }
    }

    fn parameters(trial: &Trial) -> Vec<Vec<f32>> {
        (0..3).map(|parameter| trial.parameter(parameter).data().host().to_vec()).collect()
    }

    #[test]
    fn each_channel_has_mean_zero_and_variance_one() {
        let x: Vec<f32> = values(8 * 3 * 25, 1).iter().enumerate().map(|(i, x)| x + (i / 25 % 3) as f32).collect();
        let trial = Trial::of(&batch_norm(BatchNormParameter::default())).bottom([8, 3, 5, 5], x).run().unwrap();
        let y = trial.top(0);
        for channel in 0..3 {
            let of_channel = || y.chunks(25).skip(channel).step_by(3).flatten().map(|&y| f64::from(y));
            assert!((of_channel().sum::<f64>() / 200.0).abs() < 1e-5);
            assert!((of_channel().map(|y| y * y).sum::<f64>() / 200.0 - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn averages_move_and_serve_the_test_phase() {
        let options = BatchNormParameter { moving_average_fraction: Some(0.9), eps: Some(0.0), ..Default::default() };
        let mut trial = Trial::of(&batch_norm(options)).bottom([2, 1], [1.0, 3.0]).run().unwrap();
        // Mean 2, variance 1, without bias 2.
        assert_eq!(parameters(&trial), [[2.0], [2.0], [1.0]]);
        trial.forward().unwrap();
        let moved = parameters(&trial);
        assert_close(&moved.concat(), &[3.8, 3.8, 1.9]);

        let blob = |values: &Vec<f32>| BlobProto { data: values.clone(), ..Default::default() };
        let stored = LayerParameter { blobs: moved.iter().map(blob).collect(), ..batch_norm(options) };
        let trial = Trial::of(&stored).bottom([2, 1], [2.0, 4.0]).phase(Phase::Test).run().unwrap();
        assert_close(&trial.top(0), &[0.0, 2.0_f32.sqrt()]);
        assert_eq!(parameters(&trial), moved, "the test phase leaves the averages alone");
    }

    #[test]
    fn averages_without_weight_are_zero() {
        let options = BatchNormParameter { use_global_stats: Some(true), eps: Some(4.0), ..Default::default() };
        let trial = Trial::of(&batch_norm(options)).bottom([1, 2], [3.0, -8.0]).run().unwrap();
        assert_eq!(trial.top(0), [1.5, -4.0]);
    }

    #[test]
    fn gradients_apart_and_in_place() {
        for use_global_stats in [None, Some(true)] {
            let layer = batch_norm(BatchNormParameter { use_global_stats, eps: Some(1.0), ..Default::default() });
            for dims in [&[4, 3, 2, 2][..], &[6, 4]] {
                let bottom = || Trial::of(&layer).bottom(dims, values(dims.iter().product(), 1));
                GradientCheck::default().run_each(&mut bottom().run().unwrap());
                GradientCheck::default().run_each(&mut bottom().in_place().run().unwrap());
            }
        }
    }

    #[test]
    fn the_solver_must_not_move_statistics() {
        let frozen = |lr_mult| ParamSpec { lr_mult: Some(lr_mult), ..Default::default() };
        let mut layer = batch_norm(BatchNormParameter::default());
        let trial = Trial::of(&layer).bottom([2, 2], values(4, 1)).run().unwrap();
        assert!(trial.specs.iter().all(|spec| spec.lr_mult() == 0.0) && trial.specs.len() == 3);
        layer.param = vec![frozen(0.0), frozen(1.0)];
        let error = Trial::of(&layer).bottom([2, 2], values(4, 1)).build().err().unwrap().to_string();
        assert!(error.contains("param[1].lr_mult: must be 0"), "{error}");
    }

    #[test]
    fn shapes_without_channels_are_refused() {
        let layer = batch_norm(BatchNormParameter::default());
        let error = Trial::of(&layer).bottom([4], values(4, 1)).build().err().unwrap().to_string();
        assert!(error.contains("BatchNorm takes N×C×…, the bottom has shape 4"), "{error}");
    }
}
