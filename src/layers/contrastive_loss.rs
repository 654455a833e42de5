//! `ContrastiveLoss`: draws the members of similar pairs together and those of others apart (Hadsell et al., *Dimensionality
//! Reduction by Learning an Invariant Mapping*, CVPR 2006).
//!
//! | option (`contrastive_loss_param`) | default | meaning |
//! |---|---|---|
//! | `margin` | 1 | the distance from which on a dissimilar pair costs nothing |
//! | `legacy_version` | false | max(margin − d², 0) instead of max(margin − d, 0)² for dissimilar pairs |
//!
//! Bottoms: a and b (N×C), similar (N; not 0 for a similar pair). Top: Σ (d² or max(margin − d, 0)²) / (2N), a scalar, d the
//! distance of a and b. Gradients of a and b.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, loss},
    ops::loss::{Margin, Total, contrastive, contrastive_backward},
    proto::LayerParameter,
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct ContrastiveLoss {
    margin: Margin,
    difference: Buffer,
    squares: Buffer,
    total: Total,
}

impl ContrastiveLoss {
    /// Reads the options.
    ///
    /// # Errors
    /// None: every value is allowed.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.contrastive_loss_param.unwrap_or_default();
        let margin = Margin { margin: options.margin(), legacy: options.legacy_version() };
        Ok(Box::new(ContrastiveLoss {
            margin,
            difference: Buffer::default(),
            squares: Buffer::default(),
            total: Total::default(),
        }))
    }
}

impl Layer for ContrastiveLoss {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        loss::check_batch(io)?;
        let (a, b, similar) = (io.bottom(0).shape(), io.bottom(1).shape(), io.bottom(2).shape());
        let pairs = a.dims()[0];
        let is_flat = |shape: &Shape| shape.axes() <= 4 && shape.legacy(2) == 1 && shape.legacy(3) == 1;
        if a.count() != b.count() || similar.count() != pairs || !is_flat(a) || !is_flat(b) {
            let message = format!("bottoms must be N×C, N×C and N; their shapes are {a}, {b} and {similar}");
            return Err(Error::shape(message));
        }
        self.difference.resize(a.count());
        self.squares.resize(pairs);
        io.set_top_shape(0, &Shape::scalar())?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let bottoms = [io.bottom(0).data(), io.bottom(1).data(), io.bottom(2).data()];
        let results = [&self.difference, &self.squares];
        contrastive(io.device(), self.margin, bottoms, results, &self.total, io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(2) {
            return Err(loss::no_label_gradient());
        }
        for (position, sign) in [(0, 1.0), (1, -1.0)] {
            if io.wants_bottom_gradient(position) {
                let operands = [io.bottom(2).data(), &self.difference, &self.squares, io.top(0).diff()];
                let diff = io.bottom(position).diff();
                contrastive_backward(io.device(), self.margin, sign, operands, &self.total, diff);
            }
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn default_loss_weight(&self, _top: usize) -> f32 {
        1.0
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom != 2
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{ContrastiveLossParameter, LayerParameter},
    };

    fn contrastive(margin: f32, legacy: bool) -> LayerParameter {
        let options = ContrastiveLossParameter { margin: Some(margin), legacy_version: Some(legacy) };
        LayerParameter {
            r#type: Some("ContrastiveLoss".into()),
            contrastive_loss_param: Some(options),
            ..Default::default()
        }
    }

    #[test]
    fn similar_pairs_cost_their_distance_others_what_is_short_of_the_margin() {
        let run = |legacy| {
            let trial = Trial::of(&contrastive(2.0, legacy)).bottom([2, 2], [1.0, 0.0, 1.0, 0.0]);
            trial.bottom([2, 2], [0.0, 0.0, 0.0, 0.0]).constant([2], [1.0, 0.0]).run().unwrap().top(0)
        };
        assert_eq!((run(false), run(true)), (vec![0.5], vec![0.5]));
        let trial =
            Trial::of(&contrastive(0.5, false)).bottom([1, 1], [1.0]).bottom([1, 1], [0.0]).constant([1], [0.0]);
        assert_eq!(trial.run().unwrap().top(0), [0.0]);
    }

    #[test]
    fn gradients() {
        for legacy in [false, true] {
            let trial =
                Trial::of(&contrastive(3.0, legacy)).bottom([4, 3], values(12, 1)).bottom([4, 3], values(12, 2));
            GradientCheck::default().run_each(&mut trial.constant([4], [1.0, 0.0, 1.0, 0.0]).run().unwrap());
        }
    }

    #[test]
    fn wrong_shapes_are_named() {
        let trial = Trial::of(&contrastive(1.0, false)).bottom([2, 3], values(6, 1)).bottom([2, 2], values(4, 2));
        assert!(trial.constant([2], [1.0; 2]).build().err().unwrap().to_string().contains("2×3, 2×2 and 2"));
    }
}
