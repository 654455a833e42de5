//! `Silence`: takes blobs that nobody else reads, so that they are no outputs of the net. Their gradient is zero.
//!
//! Bottoms: at least one, of any shapes. Tops: none.

use crate::{
    error::Result,
    layers::{Io, Layer},
    ops::elementwise,
    proto::LayerParameter,
};

/// The layer; see the module's text.
pub struct Silence;

impl Silence {
    /// Reads the options: there are none.
    ///
    /// # Errors
    /// None.
    pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Silence))
    }
}

impl Layer for Silence {
    fn reshape(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn forward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        for bottom in (0..io.bottoms.len()).filter(|&bottom| io.wants_bottom_gradient(bottom)) {
            elementwise::fill(io.device(), 0.0, io.bottom(bottom).diff());
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::Trial;

    #[test]
    fn gradients_are_zero() {
        let layer = LayerParameter { r#type: Some("Silence".into()), ..Default::default() };
        let mut trial = Trial::of(&layer).bottom([2], [1.0, 2.0]).tops(0).run().unwrap();
        trial.backward().unwrap();
        assert_eq!(trial.bottom_diff(0), [0.0, 0.0]);
    }
}
