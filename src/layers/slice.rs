//! `Slice`: cuts a blob along an axis, the opposite of `Concat`.
//!
//! | option (`slice_param`) | default | meaning |
//! |---|---|---|
//! | `axis` | 1 | the axis; negative counts from the end |
//! | `slice_point` | equal pieces | where each piece but the first begins, one less than there are tops |
//! | `slice_dim` | | old form of `axis`, not negative |
//!
//! Bottom: x. Tops: the pieces in order, shaped as x but for the axis. A single top is not copied: it is the bottom's memory.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, joints, joints::Joints},
    proto::{LayerParameter, SliceParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Slice {
    options: SliceParameter,
    joints: Joints,
}

impl Slice {
    /// Reads the options.
    ///
    /// # Errors
    /// None: they are checked against the bottom's shape.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Slice { options: layer.slice_param.clone().unwrap_or_default(), joints: Joints::default() }))
    }

    /// How much of the axis each top gets.
    fn extents(&self, extent: usize, tops: usize) -> Result<Vec<usize>> {
        let points = &self.options.slice_point;
        if points.is_empty() {
            if !extent.is_multiple_of(tops) {
                let message = format!("{extent} values cannot be cut into {tops} equal pieces; give slice_point");
                return Err(Error::config("slice_param", message));
            }
            return Ok(vec![extent / tops; tops]);
        }
        if points.len() != tops - 1 {
            let message = format!("is given {} times for {tops} tops; give one less than there are tops", points.len());
            return Err(Error::config("slice_param.slice_point", message));
        }
        let mut ends: Vec<usize> = points.iter().map(|&point| point as usize).collect();
        ends.push(extent);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let extents = ends.iter().zip(starts).map(|(&end, start)| end.checked_sub(start).filter(|&extent| extent > 0));
        extents.collect::<Option<_>>().ok_or_else(|| {
            let message = format!("{points:?} must grow from one to the next and stay between 0 and {extent}");
            Error::config("slice_param.slice_point", message)
        })
    }
}

impl Layer for Slice {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let whole = io.bottom(0).shape().clone();
        let fields = ["slice_param.axis", "slice_param.slice_dim"];
        let axis = joints::axis(&whole, self.options.axis, self.options.slice_dim, fields)?;
        let extents = self.extents(whole.dims()[axis], io.tops.len())?;
        self.joints.set(&whole, axis, extents.iter().copied());
        for (position, &extent) in extents.iter().enumerate() {
            let mut dims = whole.dims().to_vec();
            dims[axis] = extent;
            io.set_top_shape(position, &Shape::new(dims))?;
        }
        if io.tops.len() == 1 {
            io.share_data(0, 0);
            io.share_diff(0, 0);
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.tops.len() > 1 {
            for position in 0..io.tops.len() {
                self.joints.take(io.device(), position, io.bottom(0).data(), io.top(position).data());
            }
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.tops.len() > 1 && io.wants_bottom_gradient(0) {
            for position in 0..io.tops.len() {
                self.joints.put(io.device(), position, io.top(position).diff(), io.bottom(0).diff());
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
        proto::{LayerParameter, SliceParameter},
    };

    fn slice(axis: Option<i32>, points: &[u32]) -> LayerParameter {
        let options = SliceParameter { axis, slice_point: points.to_vec(), ..Default::default() };
        LayerParameter { r#type: Some("Slice".into()), slice_param: Some(options), ..Default::default() }
    }

    #[test]
    fn equal_pieces_and_given_points() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let trial = Trial::of(&slice(None, &[])).bottom([2, 4], x).tops(2).run().unwrap();
        assert_eq!((trial.top(0), trial.top(1)), (vec![1.0, 2.0, 5.0, 6.0], vec![3.0, 4.0, 7.0, 8.0]));
        let trial = Trial::of(&slice(Some(-1), &[1, 2])).bottom([2, 4], x).tops(3).run().unwrap();
        assert_eq!((trial.top_shape(2), trial.top(2)), (vec![2, 2], vec![3.0, 4.0, 7.0, 8.0]));
        let trial = Trial::of(&slice(Some(0), &[])).bottom([2, 4], x).tops(2).run().unwrap();
        assert_eq!(trial.top(1), x[4..]);
    }

    #[test]
    fn gradients() {
        for (axis, points) in [(0, vec![]), (1, vec![]), (1, vec![1]), (2, vec![3])] {
            let trial = Trial::of(&slice(Some(axis), &points)).bottom([2, 4, 4], values(32, 1)).tops(2);
            GradientCheck::default().run_each(&mut trial.run().unwrap());
        }
    }

    #[test]
    fn wrong_input_is_named() {
        let error = |axis, points: &[u32], tops| {
            let trial = Trial::of(&slice(axis, points)).bottom([2, 4], values(8, 1)).tops(tops);
            trial.build().err().unwrap().to_string()
        };
        assert!(error(None, &[], 3).contains("4 values cannot be cut into 3 equal pieces"));
        assert!(error(None, &[1], 3).contains("slice_param.slice_point: is given 1 times for 3 tops"));
        assert!(error(None, &[2, 2], 3).contains("must grow"));
        assert!(error(None, &[2, 4], 3).contains("stay between 0 and 4"));
        assert!(error(Some(2), &[], 2).contains("slice_param.axis: axis 2 does not exist"));
    }
}
