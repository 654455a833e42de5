//! What a layer sees while it reshapes and runs: the net's blobs and its own parameters, by position.

use super::Context;
use crate::{
    error::{Error, Result},
    proto::Phase,
    tensor::{Blob, Buffer, Device, Shape},
};

/// A layer's view of the net while it reshapes or runs: its bottoms, tops and parameters by position.
pub struct Io<'a> {
    /// All blobs of the net.
    pub blobs: &'a mut [Blob],
    /// The layer's bottoms, as indices into `blobs`.
    pub bottoms: &'a [usize],
    /// The layer's tops, as indices into `blobs`.
    pub tops: &'a [usize],
    /// The layer's parameters.
    pub parameters: &'a [Blob],
    /// Which bottoms need their gradient.
    pub bottom_gradients: &'a [bool],
    /// Which parameters need their gradient.
    pub parameter_gradients: &'a [bool],
    /// What all layers of the net share.
    pub context: &'a Context,
    /// The work of layers behind, where this layer does it in this run; see [`Layer::absorb`](super::Layer::absorb).
    pub absorbed: Option<Absorbed<'a>>,
    /// The blob to whose gradient backward adds that of its bottom, in place of writing the bottom's; only for layers that
    /// [can](super::Layer::adds_gradient).
    pub sum: Option<usize>,
    /// Whether backward is to write its parameters' gradients over what is there instead of adding to it; only for layers that can.
    pub replaces_gradients: bool,
    /// Set when a top changed its shape; the net then reshapes the layers behind it.
    pub reshaped: bool,
}

impl Io<'_> {
    /// The bottom at this position.
    pub fn bottom(&self, position: usize) -> &Blob {
        &self.blobs[self.bottoms[position]]
    }

    /// The top at this position.
    pub fn top(&self, position: usize) -> &Blob {
        &self.blobs[self.tops[position]]
    }

    /// The parameter at this position.
    pub fn parameter(&self, position: usize) -> &Blob {
        &self.parameters[position]
    }

    /// Whether the gradient of this bottom is needed.
    pub fn wants_bottom_gradient(&self, position: usize) -> bool {
        self.bottom_gradients[position]
    }

    /// Whether the gradient of this parameter is needed.
    pub fn wants_parameter_gradient(&self, position: usize) -> bool {
        self.parameter_gradients[position]
    }

    /// The gradient to which backward adds that of its only bottom, if it is to.
    pub fn gradient_sum(&self) -> Option<&Buffer> {
        self.sum.map(|blob| self.blobs[blob].diff())
    }

    /// Where ops run.
    pub fn device(&self) -> Device {
        self.context.device
    }

    /// TRAIN or TEST.
    pub fn phase(&self) -> Phase {
        self.context.phase
    }

    /// For layers that cannot overwrite what they read.
    ///
    /// # Errors
    /// When a top is also a bottom.
    pub fn refuse_in_place(&self) -> Result<()> {
        if self.tops.iter().any(|top| self.bottoms.contains(top)) {
            let message = "this layer does not work in place; give the top another name than the bottom";
            return Err(Error::config("top", message));
        }
        Ok(())
    }

    /// Gives a top its shape.
    ///
    /// # Errors
    /// When a blob of this shape cannot be.
    pub fn set_top_shape(&mut self, position: usize, shape: &Shape) -> Result<()> {
        let top = &mut self.blobs[self.tops[position]];
        if top.shape() != shape {
            self.context.room.check(shape).map_err(|why| Error::shape(format!("top {position} ({shape}): {why}")))?;
            top.reshape(shape);
            self.reshaped = true;
        }
        Ok(())
    }

    /// For layers that work in memory that grows with an option's value: checks that so many values have room.
    ///
    /// # Errors
    /// When they have not; `field` names the option.
    pub fn check_room(&self, dims: &[usize], field: &str) -> Result<()> {
        self.context.room.check(&Shape::from(dims)).map_err(|why| Error::config(field, why))
    }

    /// Gives a top the shape of a bottom.
    ///
    /// # Errors
    /// When a blob of this shape cannot be.
    pub fn set_top_shape_like(&mut self, position: usize, bottom: usize) -> Result<()> {
        let shape = self.bottom(bottom).shape().clone();
        self.set_top_shape(position, &shape)
    }

    /// Makes the top's data the bottom's memory (Split, Flatten, Reshape): nothing is copied, forward has nothing to do.
    /// The top's shape must be set first and hold as many values.
    pub fn share_data(&mut self, top: usize, bottom: usize) {
        let source = self.bottom(bottom).clone();
        self.blobs[self.tops[top]].share_data(&source);
    }

    /// Makes the top's diff the bottom's memory.
    pub fn share_diff(&mut self, top: usize, bottom: usize) {
        let source = self.bottom(bottom).clone();
        self.blobs[self.tops[top]].share_diff(&source);
    }
}

/// The work of layers behind that a layer does: theirs is none in this run.
#[derive(Clone, Copy)]
pub struct Absorbed<'a> {
    /// The parameters of those layers.
    pub parameters: &'a [Blob],
    /// Which of them need their gradient.
    pub parameter_gradients: &'a [bool],
}
