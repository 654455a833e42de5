//! `RNN`: sequences through a plain recurrent layer.
//!
//! For each step t: h_t = tanh(W_xh·x_t + b_h (+ W_xh_static·x_static) + W_hh·(cont_t·h_{t−1})), o_t = tanh(W_ho·h_t + b_o).
//!
//! | option (`recurrent_param`) | default | meaning |
//! |---|---|---|
//! | `num_output` | | H, the length of the hidden state and of the output |
//! | `weight_filler`, `bias_filler` | constant 0 | initial values |
//! | `expose_hidden` | false | the first h is a bottom and the last one a top, instead of going on from batch to batch |
//! | `debug_info` | false | accepted; there is no unrolled net to log |
//!
//! Bottoms: x (T×N×...), cont (T×N; 0 where a stream begins a new sequence, else 1), optionally x_static (N×...); with
//! `expose_hidden` also h_0 (1×N×H). Tops: o (T×N×H); with `expose_hidden` also h_T (1×N×H). Parameters: W_xh (H×I), b_h (H),
//! with a static input W_xh_static (H×S), W_hh (H×H), W_ho (H×H), b_o (H). No gradient goes to cont or back into h_0.

use crate::{
    error::Result,
    layers::{
        Io, Layer, Setup, Work,
        recurrent::{Recurrence, add_weight_gradient},
    },
    ops::{
        activation::{self, Activation::TanH},
        elementwise,
        gemm::{self, Gemm},
    },
    proto::{LayerParameter, LayerState},
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct Rnn {
    recurrence: Recurrence,
    /// h before the first step.
    first: Buffer,
    /// h after each step, T×N×H, and its gradient.
    hidden: Buffer,
    hidden_diff: Buffer,
    /// The output (a copy, which in-place layers behind do not change), and the gradient of what enters its tanh.
    output: Buffer,
    output_diff: Buffer,
    /// The gradient of one step's h.
    step_diff: Buffer,
}

impl Rnn {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `num_output` is missing.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Rnn {
            recurrence: Recurrence::new(layer, 1, 1)?,
            first: Buffer::default(),
            hidden: Buffer::default(),
            hidden_diff: Buffer::default(),
            output: Buffer::default(),
            output_diff: Buffer::default(),
            step_diff: Buffer::default(),
        }))
    }

    /// h behind the last batch.
    fn last(&self) -> Buffer {
        self.recurrence.at(self.recurrence.sizes.steps.saturating_sub(1), &self.hidden, self.recurrence.hidden)
    }

    fn rows(&self) -> usize {
        self.recurrence.sizes.steps * self.recurrence.sizes.streams
    }

    fn output_weights(&self) -> usize {
        self.recurrence.hidden_weights() + 1
    }

    fn output_bias(&self) -> usize {
        self.recurrence.hidden_weights() + 2
    }

    /// The gradients of the output's weights, and that of h from the outputs of all steps.
    fn leave_outputs(&self, io: &Io<'_>) {
        let device = io.device();
        activation::backward(device, TanH, &self.output, &self.output, io.top(0).diff(), &self.output_diff);
        add_weight_gradient(io, self.output_weights(), self.rows(), &self.output_diff, &self.hidden);
        if io.wants_parameter_gradient(self.output_bias()) {
            gemm::sum_rows(device, &self.output_diff, io.parameter(self.output_bias()).diff());
        }
        let product = Gemm::new(self.rows(), self.recurrence.hidden, self.recurrence.hidden);
        product.run(device, &self.output_diff, io.parameter(self.output_weights()).data(), &self.hidden_diff);
    }
}

impl Layer for Rnn {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        self.recurrence.setup(setup)?;
        let size = self.recurrence.hidden;
        let (weights, biases) = (self.recurrence.weight_filler(), self.recurrence.bias_filler());
        self.recurrence.add_weights(setup, [size, size], &weights)?;
        self.recurrence.add_weights(setup, [size, size], &weights)?;
        setup.add_parameter(Shape::from([size]), &biases, "recurrent_param.bias_filler")?;
        let square = (Shape::from([size, size]), &weights);
        self.recurrence.draw_later_steps(setup, &[square.clone(), square, (Shape::from([size]), &biases)])
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        let anew = self.recurrence.reshape(io)?;
        let (count, state) =
            (self.rows() * self.recurrence.hidden, self.recurrence.sizes.streams * self.recurrence.hidden);
        if anew || self.hidden.len() != count {
            self.hidden = Buffer::zeros(count);
        }
        for buffer in [&mut self.hidden_diff, &mut self.output, &mut self.output_diff] {
            buffer.resize(count);
        }
        self.first.resize(state);
        self.step_diff.resize(state);
        Ok(())
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        // Snapshots read the last of them.
        self.hidden.will_be_written_on(io.device());
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (recurrence, device) = (&self.recurrence, io.device());
        let last = self.last();
        let exposed = recurrence.exposes_hidden();
        elementwise::copy(
            device,
            if exposed { io.bottom(recurrence.first_state()).data() } else { &last },
            &self.first,
        );
        recurrence.enter_inputs(io);
        let mut previous = self.first.clone();
        for step in 0..recurrence.sizes.steps {
            let entering = recurrence.enter_state(io, step, &previous);
            previous = recurrence.at(step, &self.hidden, recurrence.hidden);
            activation::forward(device, TanH, &entering, &previous);
        }
        let product = Gemm { transpose_b: true, ..Gemm::new(self.rows(), recurrence.hidden, recurrence.hidden) };
        product.run(device, &self.hidden, io.parameter(self.output_weights()).data(), &self.output);
        gemm::add_to_rows(device, io.parameter(self.output_bias()).data(), &self.output);
        activation::forward(device, TanH, &self.output, &self.output);
        elementwise::copy(device, &self.output, io.top(0).data());
        if exposed {
            elementwise::copy(device, &last, io.top(1).data());
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (recurrence, device) = (&self.recurrence, io.device());
        recurrence.check_gradients(io)?;
        self.leave_outputs(io);
        for step in (0..recurrence.sizes.steps).rev() {
            let [hidden, diff] =
                [&self.hidden, &self.hidden_diff].map(|buffer| recurrence.at(step, buffer, recurrence.hidden));
            match step + 1 == recurrence.sizes.steps {
                true => elementwise::copy(device, &diff, &self.step_diff),
                false => elementwise::add(device, &diff, recurrence.state_gradient(io, step + 1), &self.step_diff),
            }
            let [entering, entering_diff] =
                [&recurrence.entering, &recurrence.entering_diff].map(|b| recurrence.at(step, b, recurrence.width));
            activation::backward(device, TanH, &entering, &hidden, &self.step_diff, &entering_diff);
        }
        recurrence.leave(io);
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn work(&self, io: &Io<'_>) -> Work {
        let size = self.recurrence.hidden;
        self.recurrence.work(io) + Work::of_inner_product(io, self.output_weights(), self.rows() * size * size)
    }

    fn state(&self) -> Option<LayerState> {
        self.recurrence.save(&[&self.last()])
    }

    fn restore(&mut self, state: &LayerState) -> Result<()> {
        self.recurrence.restore(state, &[&self.last()])
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom != 1
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{FillerParameter, LayerParameter, RecurrentParameter},
    };

    fn rnn(expose_hidden: bool) -> LayerParameter {
        let filler =
            FillerParameter { r#type: Some("uniform".into()), min: Some(-0.7), max: Some(0.7), ..Default::default() };
        let options = RecurrentParameter {
            num_output: Some(3),
            weight_filler: Some(filler.clone()),
            bias_filler: Some(filler),
            expose_hidden: Some(expose_hidden),
            ..Default::default()
        };
        LayerParameter { r#type: Some("RNN".into()), recurrent_param: Some(options), ..Default::default() }
    }

    #[test]
    fn two_batches_are_one_sequence() {
        let x = values(8, 1);
        let whole = Trial::of(&rnn(false)).bottom([4, 1, 2], x.clone()).constant([4, 1], [0.0, 1.0, 1.0, 1.0]);
        let whole = whole.run().unwrap().top(0);
        let half = |x: &[f32], state: Vec<f32>| {
            let trial = Trial::of(&rnn(true)).bottom([2, 1, 2], x).constant([2, 1], [1.0, 1.0]);
            let trial = trial.bottom([1, 1, 3], state).tops(2).run().unwrap();
            (trial.top(0), trial.top(1))
        };
        let (first, state) = half(&x[..4], vec![0.0; 3]);
        assert_close(&[first.clone(), half(&x[4..], state).0].concat(), &whole);
        let mut going_on =
            Trial::of(&rnn(false)).bottom([2, 1, 2], &x[..4]).constant([2, 1], [1.0, 1.0]).run().unwrap();
        assert_close(&going_on.top(0), &first);
        going_on.set_bottom(0, [2, 1, 2], &x[4..]).unwrap();
        going_on.forward().unwrap();
        assert_close(&going_on.top(0), &whole[6..]);
    }

    #[test]
    fn gradients() {
        let cont = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0];
        for fixed in [false, true] {
            let mut trial = Trial::of(&rnn(false)).bottom([3, 2, 2], values(12, 5)).constant([3, 2], cont);
            if fixed {
                trial = trial.bottom([2, 2], values(4, 6));
            }
            GradientCheck::default().run(&mut trial.run().unwrap());
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let trial = Trial::of(&rnn(true)).bottom([2, 1, 2], values(4, 1)).constant([2, 1], [0.0; 2]).build();
        assert!(trial.err().unwrap().to_string().contains("needs 3 bottoms"));
    }
}
