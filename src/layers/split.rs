//! `Split`: one blob for several readers. Nets put it in by themselves wherever a blob is read more than once.
//!
//! No options. Bottom: x. Tops: one or more that are x's memory, each with a gradient of its own; x's gradient is their sum,
//! added up from the first to the last, or the other way round where it lies in the memory of the last's.

use crate::{
    error::Result,
    layers::{End, Io, Layer},
    ops::elementwise,
    proto::LayerParameter,
    tensor::{Buffer, Device},
};

/// Gradients that are added up in one pass over memory.
const AT_ONCE: usize = 8;

/// The layer; see the module's text.
pub struct Split;

impl Split {
    /// Makes the layer.
    ///
    /// # Errors
    /// None: there are no options.
    pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Split))
    }
}

impl Layer for Split {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        for top in 0..io.tops.len() {
            io.set_top_shape_like(top, 0)?;
            io.share_data(top, 0);
        }
        Ok(())
    }

    fn forward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if !io.wants_bottom_gradient(0) {
            return Ok(());
        }
        let (device, dx) = (io.device(), io.bottom(0).diff());
        // The first few at once: nearly always all there are.
        let (at_once, last) = (io.tops.len().min(AT_ONCE), io.tops.len() - 1);
        let is_turned = io.top(last).diff().is_same(dx);
        let term = |number: usize| io.top(if is_turned { last - number } else { number }).diff();
        let terms: [&Buffer; AT_ONCE] = std::array::from_fn(|number| term(number.min(at_once - 1)));
        elementwise::add_all(device, &terms[..at_once], dx);
        for number in at_once..io.tops.len() {
            elementwise::add(device, term(number), dx, dx);
        }
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
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
        layers::testing::{GradientCheck, Trial, values},
        proto::LayerParameter,
    };

    #[test]
    fn readers_see_one_memory_and_their_gradients_add_up() {
        let message = LayerParameter { r#type: Some("Split".into()), ..Default::default() };
        for tops in [1, 2, 3] {
            let mut trial = Trial::of(&message).bottom([2, 3], values(6, 1)).tops(tops).run().unwrap();
            for top in 0..tops {
                assert!(trial.top_blob(top).data().is_same(trial.bottom_blob(0).data()));
                trial.set_top_diff(top, &[10_f32.powi(top as i32); 6]);
            }
            trial.backward().unwrap();
            assert_eq!(trial.bottom_diff(0), [[0.0, 1.0, 11.0, 111.0][tops]; 6]);
            GradientCheck::default().run_each(&mut trial);
        }
    }
}
