//! `InfogainLoss`: the mean of −Σ H(label, k)·ln p(k), p the softmax of the scores; with H the unit matrix it is
//! `SoftmaxWithLoss`.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `infogain_loss_param.source` | | the file of H (a BlobProto), when it is not a bottom |
//! | `infogain_loss_param.axis` | 1 | the class axis; negative counts from the end |
//! | `loss_param` | VALID | `ignore_label` and `normalization`, see the `loss` module |
//!
//! Bottoms: scores (N×C×...), labels (one for each place outside the class axis), optionally H (C×C values). Tops: the loss, a
//! scalar; optionally p, shaped as the scores. Gradient of the scores: (p(k) · Σ H(label, ·) − H(label, k)) · weight / normalizer.

use crate::{
    data::{datasets::mean, paths},
    error::{Error, Result},
    layers::{Io, Layer, Setup, loss},
    ops::{
        loss::{Total, infogain, infogain_backward},
        softmax::{self, Axes},
    },
    proto::{InfogainLossParameter, LayerParameter, loss_parameter::NormalizationMode},
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct InfogainLoss {
    options: InfogainLossParameter,
    axes: Axes,
    ignore: Option<i32>,
    normalization: NormalizationMode,
    /// Of the last forward.
    total: Total,
    /// p, when there is no top for it.
    probabilities: Buffer,
    /// H, when it is not a bottom.
    matrix: Buffer,
}

impl InfogainLoss {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `loss_param.normalize` is given, which this layer never had.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.loss_param.as_ref();
        if options.is_some_and(|options| options.normalize.is_some()) {
            return Err(Error::config(
                "loss_param.normalize",
                "this layer takes normalization (VALID, FULL, ...) instead",
            ));
        }
        Ok(Box::new(InfogainLoss {
            options: layer.infogain_loss_param.clone().unwrap_or_default(),
            axes: Axes::default(),
            ignore: options.and_then(|options| options.ignore_label),
            normalization: loss::normalization(options, NormalizationMode::Valid),
            total: Total::default(),
            probabilities: Buffer::default(),
            matrix: Buffer::default(),
        }))
    }

    /// p, labels and H.
    fn sources<'a>(&'a self, io: &'a Io<'_>) -> [&'a Buffer; 3] {
        let probabilities = if io.tops.len() > 1 { io.top(1).data() } else { &self.probabilities };
        let matrix = if io.bottoms.len() > 2 { io.bottom(2).data() } else { &self.matrix };
        [probabilities, io.bottom(1).data(), matrix]
    }
}

impl Layer for InfogainLoss {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        if setup.bottoms.len() < 3 {
            let field = "infogain_loss_param.source";
            let message = "is missing: name the file of the matrix, or give the matrix as a third bottom";
            let source = self.options.source.as_deref().ok_or_else(|| Error::config(field, message))?;
            let path = paths::resolve(source, setup.context.base.as_deref());
            self.matrix = Buffer::from(mean::read(&path)?.data);
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape().clone();
        self.axes = Axes::new(&shape, shape.axis(self.options.axis(), "infogain_loss_param.axis")?);
        loss::check_batch(io)?;
        loss::check_labels(io, self.axes)?;
        let classes = self.axes.channels;
        let values = if io.bottoms.len() > 2 { io.bottom(2).count() } else { self.matrix.len() };
        if values != classes * classes {
            let message = format!("the matrix has {values} values, {classes} classes need {classes}×{classes}");
            return Err(Error::shape(message));
        }
        io.set_top_shape(0, &Shape::scalar())?;
        if io.tops.len() > 1 {
            io.set_top_shape(1, &shape)?;
        } else {
            self.probabilities.resize(shape.count());
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let sources = self.sources(io);
        softmax::forward(io.device(), self.axes, io.bottom(0).data(), sources[0]);
        let (normalizer, top) = (loss::normalizer(self.normalization, self.axes), io.top(0).data());
        infogain(io.device(), self.axes, sources, self.ignore, normalizer, &self.total, top)
            .map_err(|label| loss::bad_label(label, self.axes.channels))
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if (1..io.bottoms.len()).any(|position| io.wants_bottom_gradient(position)) {
            return Err(loss::no_label_gradient());
        }
        if io.wants_bottom_gradient(0) {
            let [probabilities, labels, matrix] = self.sources(io);
            let operands = [probabilities, labels, matrix, io.top(0).diff()];
            infogain_backward(io.device(), self.axes, operands, self.ignore, &self.total, io.bottom(0).diff());
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn verify(&self, io: &Io<'_>) -> Result<()> {
        loss::verify_labels(self.axes, io.bottom(1).data(), self.ignore)
    }

    fn default_loss_weight(&self, top: usize) -> f32 {
        if top == 0 { 1.0 } else { 0.0 }
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom == 0
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{BlobProto, InfogainLossParameter, LayerParameter, LossParameter},
    };

    fn infogain(ignore_label: Option<i32>) -> LayerParameter {
        let loss_param = Some(LossParameter { ignore_label, ..Default::default() });
        LayerParameter { r#type: Some("InfogainLoss".into()), loss_param, ..Default::default() }
    }

    #[test]
    fn the_unit_matrix_gives_cross_entropy() {
        let unit = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let bottoms = |message: &LayerParameter| {
            Trial::of(message).bottom([4, 3], values(12, 1)).constant([4], [0.0, 2.0, 1.0, 1.0])
        };
        let gain = bottoms(&infogain(None)).constant([3, 3], unit).run().unwrap().top(0);
        let softmax = LayerParameter { r#type: Some("SoftmaxWithLoss".into()), ..Default::default() };
        assert_close(&gain, &bottoms(&softmax).run().unwrap().top(0));
    }

    #[test]
    fn the_matrix_may_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("h.binaryproto");
        let matrix = BlobProto { data: values(9, 5), ..Default::default() };
        std::fs::write(&file, matrix.encode_to_vec()).unwrap();
        let options = InfogainLossParameter { source: Some(file.display().to_string()), axis: None };
        let message = LayerParameter { infogain_loss_param: Some(options), ..infogain(None) };
        let trial = |message: &LayerParameter| Trial::of(message).bottom([1, 3], values(3, 1)).constant([1], [2.0]);
        let from_bottom = trial(&infogain(None)).constant([1, 1, 3, 3], values(9, 5)).run().unwrap().top(0);
        assert_eq!(trial(&message).run().unwrap().top(0), from_bottom);
        let error = trial(&infogain(None)).build().err().unwrap();
        assert!(error.to_string().contains("infogain_loss_param.source: is missing"));
    }

    #[test]
    fn gradients() {
        for ignore in [None, Some(2)] {
            let trial =
                Trial::of(&infogain(ignore)).bottom([2, 3, 2], values(12, 1)).constant([2, 2], [0.0, 2.0, 1.0, 1.0]);
            let mut trial = trial.constant([3, 3], values(9, 2)).tops(2).run().unwrap();
            GradientCheck::default().run_top(&mut trial, 0);
        }
    }
}
