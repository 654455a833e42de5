//! What `Scale` and `Bias` share: a smaller blob laid along some axes of a larger one.

use crate::{
    error::{Error, Result},
    ops::broadcast::Spans,
    tensor::Shape,
};

/// The options that say where the smaller blob lies.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// The first axis that it covers; negative counts from the end.
    pub axis: i32,
    /// How many axes it covers; -1 all from `axis` on.
    pub num_axes: i32,
    /// The options' block in messages: `scale_param` or `bias_param`.
    pub options: &'static str,
}

impl Placement {
    /// The shape of the smaller blob when it is a parameter.
    ///
    /// # Errors
    /// When the axes do not exist in the larger blob.
    pub fn parameter_shape(&self, whole: &Shape) -> Result<Shape> {
        let axis = whole.axis(self.axis, &format!("{}.axis", self.options))?;
        let end = match self.num_axes {
            -1 => whole.axes(),
            count => usize::try_from(count).map_or(usize::MAX, |count| axis + count),
        };
        match whole.dims().get(axis..end) {
            Some(dims) => Ok(Shape::from(dims)),
            None => {
                let message = format!(
                    "must be -1 (all) or 0 to {}: the bottom has shape {whole} and axis is {axis}, not {}",
                    whole.axes() - axis,
                    self.num_axes
                );
                Err(Error::config(format!("{}.num_axes", self.options), message))
            }
        }
    }

    /// How a blob of shape `part` lies along `whole`.
    ///
    /// # Errors
    /// When its dimensions are not those of the axes that it covers.
    pub fn spans(&self, whole: &Shape, part: &Shape) -> Result<Spans> {
        // A single value lies along everything, whatever `axis` says.
        let axis = if part.axes() == 0 { 0 } else { whole.axis(self.axis, &format!("{}.axis", self.options))? };
        let end = axis + part.axes();
        if whole.dims().get(axis..end) != Some(part.dims()) {
            let message = format!("shape {part} does not fit shape {whole} from axis {axis} on");
            return Err(Error::shape(message));
        }
        Ok(Spans { outer: whole.count_before(axis), dim: part.count(), inner: whole.count_from(end) })
    }
}
