//! `LSTMUnit`: one step of an LSTM's cells: c = cont·σ(f)·c₋₁ + σ(i)·tanh(g), h = σ(o)·tanh(c) (Hochreiter and Schmidhuber,
//! *Long Short-Term Memory*, 1997, with forget gates). The layer `LSTM` computes whole sequences.
//!
//! No options. Bottoms: c₋₁ (1×N×H); what enters the gates i, f, o and the candidate g, one behind the other (1×N×4H); cont
//! (1×N), 0 where a stream begins a new sequence, otherwise 1. Tops: c and h (1×N×H). There is no gradient for cont.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer},
    ops::recurrent::{self, LstmStep, LstmStepDiff},
    proto::LayerParameter,
    tensor::Buffer,
};

/// The layer; see the module's text.
#[derive(Default)]
pub struct LstmUnit {
    /// For a gradient that the net does not ask for: both come from one pass.
    unused: [Buffer; 2],
}

impl LstmUnit {
    /// Makes the layer.
    ///
    /// # Errors
    /// None: there are no options.
    pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(LstmUnit::default()))
    }
}

fn step<'a>(io: &'a Io<'_>) -> LstmStep<'a> {
    LstmStep {
        previous: io.bottom(0).data(),
        gates: io.bottom(1).data(),
        continues: io.bottom(2).data(),
        cell: io.top(0).data(),
        hidden: io.top(1).data(),
    }
}

impl Layer for LstmUnit {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let [cell, gates, continues] = [0, 1, 2].map(|position| io.bottom(position).shape());
        let fits = match *cell.dims() {
            [1, streams, size] => {
                size.checked_mul(4).is_some_and(|gate| gates.dims() == [1, streams, gate])
                    && continues.dims() == [1, streams]
            }
            _ => false,
        };
        if !fits {
            let message = format!("needs bottoms of 1×N×H, 1×N×4H and 1×N; they are {cell}, {gates} and {continues}");
            return Err(Error::shape(message));
        }
        for (buffer, position) in self.unused.iter_mut().zip([0, 1]) {
            buffer.resize(io.bottom(position).count());
        }
        io.set_top_shape_like(0, 0)?;
        io.set_top_shape_like(1, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        recurrent::lstm_forward(io.device(), step(io));
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(2) {
            return Err(Error::config("bottom", "the sequence indicators (bottom 2) have no gradient"));
        }
        let place = |position: usize| {
            if io.wants_bottom_gradient(position) { io.bottom(position).diff() } else { &self.unused[position] }
        };
        let diff =
            LstmStepDiff { cell: io.top(0).diff(), hidden: io.top(1).diff(), previous: place(0), gates: place(1) };
        recurrent::lstm_backward(io.device(), step(io), diff);
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom != 2
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, TrialBuilder, assert_close, values},
        proto::LayerParameter,
    };

    fn unit() -> TrialBuilder {
        Trial::of(&LayerParameter { r#type: Some("LSTMUnit".into()), ..Default::default() }).tops(2)
    }

    #[test]
    fn one_cell_by_hand() {
        let trial = unit().bottom([1, 2, 1], [0.5, 0.5]).bottom([1, 2, 4], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        let trial = trial.constant([1, 2], [1.0, 0.0]).run().unwrap();
        let candidate = 0.5 * 1.0_f32.tanh();
        assert_close(&trial.top(0), &[0.25 + candidate, candidate]);
        assert_close(&trial.top(1), &[0.5 * (0.25 + candidate).tanh(), 0.5 * candidate.tanh()]);
    }

    #[test]
    fn gradients() {
        let trial = unit().bottom([1, 3, 2], values(6, 1)).bottom([1, 3, 8], values(24, 2));
        let mut trial = trial.constant([1, 3], [1.0, 0.0, 1.0]).run().unwrap();
        GradientCheck::default().run_each(&mut trial);
    }

    #[test]
    fn shapes_that_do_not_fit() {
        let trial = unit().bottom([1, 3, 2], [0.0; 6]).bottom([1, 3, 6], [0.0; 18]).constant([1, 3], [0.0; 3]);
        assert!(trial.build().err().unwrap().to_string().contains("1×3×2, 1×3×6 and 1×3"));
    }
}
