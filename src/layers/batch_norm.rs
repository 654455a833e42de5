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
    layers::{Absorbed, End, Follower, Io, Layer, Setup},
    ops::{
        batch_norm::{self, Averages, Epilogue, Normalization, Operands, Source, Statistics},
        broadcast::{Spans, Sums},
    },
    proto::{BatchNormParameter, FillerParameter, LayerParameter, Phase},
    tensor::{Blob, Buffer, Device, Shape},
};

/// The layer; see the module's text.
pub struct BatchNorm {
    options: BatchNormParameter,
    use_global_stats: bool,
    spans: Spans,
    /// Of the last forward run.
    statistics: Statistics,
    /// y of the last forward run: the layers behind may write over the top.
    kept: Buffer,
    sums: Sums,
    /// Whether this layer does the work of a Scale behind it, and of a ReLU.
    has_scale: bool,
    has_relu: bool,
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
            statistics: Statistics::default(),
            kept: Buffer::default(),
            sums: Sums::default(),
            has_scale: false,
            has_relu: false,
        }))
    }

    fn normalization<'a>(&self, absorbed: Option<Absorbed<'a>>) -> Normalization<'a> {
        let epilogue = absorbed.map(|Absorbed { parameters, .. }| Epilogue {
            factors: parameters.first().map(Blob::data),
            shifts: parameters.get(1).map(Blob::data),
            is_relu: self.has_relu,
        });
        Normalization {
            spans: self.spans,
            source: if self.use_global_stats { Source::Given } else { Source::Batch },
            epsilon: self.options.eps(),
            epilogue: epilogue.unwrap_or_default(),
        }
    }

    /// Whether backward needs what normalising gave.
    fn keeps(&self, io: &Io<'_>) -> bool {
        !self.use_global_stats || io.absorbed.is_some_and(|absorbed| absorbed.parameter_gradients.contains(&true))
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
        self.statistics.resize(channels);
        self.sums.resize(channels);
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        if !self.use_global_stats {
            io.parameters.iter().for_each(|average| average.data().will_be_written_on(io.device()));
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x, y) = (io.device(), io.bottom(0).data(), io.top(0).data());
        let [mean, variance, weight] = [0, 1, 2].map(|parameter| io.parameter(parameter).data());
        if self.use_global_stats {
            batch_norm::read_average(device, mean, weight, &self.statistics.mean);
            batch_norm::read_average(device, variance, weight, &self.statistics.variance);
        }
        if self.keeps(io) {
            self.kept.resize(self.spans.count());
        }
        let kept = self.keeps(io).then_some(&self.kept);
        let averages = Averages { fraction: self.options.moving_average_fraction(), mean, variance, weight };
        let (normalization, averages) = (self.normalization(io.absorbed), (!self.use_global_stats).then_some(averages));
        batch_norm::forward(device, normalization, x, &self.statistics, y, kept, averages);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x, y) = (io.device(), io.bottom(0), io.top(0));
        let normalized = self.keeps(io).then_some(&self.kept);
        let of = Operands { dy: y.diff(), y: y.data(), normalized, statistics: &self.statistics };
        let dx = io.wants_bottom_gradient(0).then(|| x.diff());
        let wanted = |position: usize| {
            let Absorbed { parameters, parameter_gradients } = io.absorbed?;
            parameter_gradients.get(position)?.then(|| parameters[position].diff())
        };
        let diffs = [wanted(0), wanted(1)];
        batch_norm::backward(device, self.normalization(io.absorbed), of, &self.sums, diffs, dx);
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        self.has_relu && matches!(data, End::Top(_))
    }

    fn gradient_in_place(&self, bottom: usize, _device: Device) -> Option<usize> {
        (bottom == 0).then_some(0)
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn absorb(&mut self, follower: Follower) -> bool {
        match follower {
            Follower::Scale if !self.has_scale && !self.has_relu => self.has_scale = true,
            Follower::Relu if !self.has_relu => self.has_relu = true,
            _ => return false,
        }
        true
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
