//! `Concat`: several blobs one behind the other along an axis.
//!
//! | option (`concat_param`) | default | meaning |
//! |---|---|---|
//! | `axis` | 1 | the axis; negative counts from the end |
//! | `concat_dim` | | old form of `axis`, not negative |
//!
//! Bottoms: one or more, of one shape but for the axis. Top: y, as long as all together there. A single bottom is not copied:
//! the top is its memory.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, joints, joints::Joints},
    proto::{ConcatParameter, LayerParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Concat {
    options: ConcatParameter,
    joints: Joints,
}

impl Concat {
    /// Reads the options.
    ///
    /// # Errors
    /// None: the axis is checked against the bottoms' shape.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Concat { options: layer.concat_param.unwrap_or_default(), joints: Joints::default() }))
    }
}

impl Layer for Concat {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let first = io.bottom(0).shape();
        let fields = ["concat_param.axis", "concat_param.concat_dim"];
        let axis = joints::axis(first, self.options.axis, self.options.concat_dim, fields)?;
        let mut dims = first.dims().to_vec();
        dims[axis] = 0;
        for position in 0..io.bottoms.len() {
            let shape = io.bottom(position).shape();
            let differs = |at: usize| at != axis && shape.dims()[at] != dims[at];
            if shape.axes() != dims.len() || (0..dims.len()).any(differs) {
                let message = format!(
                    "bottom 0 has shape {first}, bottom {position} has {shape}; they may differ along axis {axis} only"
                );
                return Err(Error::shape(message));
            }
            dims[axis] += shape.dims()[axis];
        }
        let whole = Shape::new(dims);
        self.joints.set(&whole, axis, io.bottoms.iter().map(|&bottom| io.blobs[bottom].dim(axis)));
        io.set_top_shape(0, &whole)?;
        if io.bottoms.len() == 1 {
            io.share_data(0, 0);
            io.share_diff(0, 0);
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.bottoms.len() > 1 {
            for position in 0..io.bottoms.len() {
                self.joints.put(io.device(), position, io.bottom(position).data(), io.top(0).data());
            }
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.bottoms.len() > 1 {
            for position in (0..io.bottoms.len()).filter(|&position| io.wants_bottom_gradient(position)) {
                self.joints.take(io.device(), position, io.top(0).diff(), io.bottom(position).diff());
            }
        }
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{ConcatParameter, LayerParameter},
    };

    fn concat(axis: Option<i32>, concat_dim: Option<u32>) -> LayerParameter {
        let concat_param = Some(ConcatParameter { axis, concat_dim });
        LayerParameter { r#type: Some("Concat".into()), concat_param, ..Default::default() }
    }

    #[test]
    fn values_lie_one_behind_the_other() {
        for message in [concat(None, None), concat(Some(-1), None), concat(None, Some(1))] {
            let trial = Trial::of(&message).bottom([2, 1], [1.0, 2.0]).bottom([2, 2], [3.0, 4.0, 5.0, 6.0]);
            let trial = trial.run().unwrap();
            assert_eq!((trial.top_shape(0), trial.top(0)), (vec![2, 3], vec![1.0, 3.0, 4.0, 2.0, 5.0, 6.0]));
        }
        let trial = Trial::of(&concat(Some(0), None)).bottom([1, 2], [1.0, 2.0]).bottom([1, 2], [3.0, 4.0]);
        assert_eq!(trial.run().unwrap().top(0), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn one_bottom_is_passed_through_without_a_copy() {
        let trial = Trial::of(&concat(None, None)).bottom([2, 2], values(4, 1)).run().unwrap();
        assert!(trial.top_blob(0).data().is_same(trial.bottom_blob(0).data()));
        assert!(trial.top_blob(0).diff().is_same(trial.bottom_blob(0).diff()));
    }

    #[test]
    fn gradients() {
        for axis in [0, 1, 2] {
            let trial = Trial::of(&concat(Some(axis), None)).bottom([2, 2, 2], values(8, 1));
            GradientCheck::default().run_each(&mut trial.bottom([2, 2, 2], values(8, 2)).run().unwrap());
        }
    }

    #[test]
    fn wrong_input_is_named() {
        let error = |message, shape: [usize; 2]| {
            let count = shape.iter().product();
            let trial = Trial::of(&message).bottom([2, 2], values(4, 1)).bottom(shape, values(count, 1));
            trial.build().err().unwrap().to_string()
        };
        assert!(error(concat(None, None), [3, 2]).contains("bottom 0 has shape 2×2, bottom 1 has 3×2"));
        assert!(error(concat(Some(2), None), [2, 2]).contains("concat_param.axis: axis 2 does not exist"));
        assert!(error(concat(Some(1), Some(1)), [2, 2]).contains("concat_param.concat_dim: is the old form"));
        assert!(error(concat(None, Some(9)), [2, 2]).contains("concat_param.concat_dim: axis 9 does not exist"));
    }
}
