//! `LSTM`: sequences through long short-term memory cells (Hochreiter and Schmidhuber, 1997; as in Donahue et al., *Long-term
//! Recurrent Convolutional Networks*, 2015).
//!
//! For each step t: (i, f, o, g) = W_xc·x_t + b_c (+ W_xc_static·x_static) + W_hc·(cont_t·h_{t−1}), c_t = cont_t·σ(f)·c_{t−1} +
//! σ(i)·tanh(g), h_t = σ(o)·tanh(c_t).
//!
//! | option (`recurrent_param`) | default | meaning |
//! |---|---|---|
//! | `num_output` | | H, the length of the hidden state |
//! | `weight_filler`, `bias_filler` | constant 0 | initial values |
//! | `expose_hidden` | false | the first h and c are bottoms and the last ones tops, instead of going on from batch to batch |
//! | `debug_info` | false | accepted; there is no unrolled net to log |
//!
//! Bottoms: x (T×N×...), cont (T×N; 0 where a stream begins a new sequence, else 1), optionally x_static (N×...); with
//! `expose_hidden` also h_0 and c_0 (1×N×H). Tops: h (T×N×H); with `expose_hidden` also h_T and c_T (1×N×H). Parameters: W_xc
//! (4H×I), b_c (4H), with a static input W_xc_static (4H×S), W_hc (4H×H). No gradient goes to cont or back into h_0 and c_0.

use crate::{
    error::Result,
    layers::{Io, Layer, Setup, Work, recurrent::Recurrence},
    ops::{
        elementwise,
        recurrent::{self, LstmStep, LstmStepDiff},
    },
    proto::{LayerParameter, LayerState},
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct Lstm {
    recurrence: Recurrence,
    /// h before the first step and after the last: copies, which in-place layers behind do not change.
    first: Buffer,
    last: Buffer,
    /// c before the first step and after each, N×H.
    cells: Vec<Buffer>,
    /// The gradients of c after a step and before it, and that of h.
    cell_diffs: [Buffer; 2],
    hidden_diff: Buffer,
}

impl Lstm {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `num_output` is missing.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Lstm {
            recurrence: Recurrence::new(layer, 4, 2)?,
            first: Buffer::default(),
            last: Buffer::default(),
            cells: Vec::new(),
            cell_diffs: [Buffer::default(), Buffer::default()],
            hidden_diff: Buffer::default(),
        }))
    }

    /// Sets the states before the first step: the bottoms, or where the last batch ended.
    fn begin(&mut self, io: &Io<'_>) {
        let (device, steps) = (io.device(), self.recurrence.sizes.steps);
        if self.recurrence.exposes_hidden() {
            let position = self.recurrence.first_state();
            elementwise::copy(device, io.bottom(position).data(), &self.first);
            elementwise::copy(device, io.bottom(position + 1).data(), &self.cells[0]);
        } else {
            elementwise::copy(device, &self.last, &self.first);
            elementwise::copy(device, &self.cells[steps], &self.cells[0]);
        }
    }

    fn step<'a>(&'a self, step: usize, gates: &'a Buffer, continues: &'a Buffer, hidden: &'a Buffer) -> LstmStep<'a> {
        LstmStep { previous: &self.cells[step], gates, continues, cell: &self.cells[step + 1], hidden }
    }
}

impl Layer for Lstm {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        self.recurrence.setup(setup)?;
        let dims = [self.recurrence.width, self.recurrence.hidden];
        let filler = self.recurrence.weight_filler();
        self.recurrence.add_weights(setup, dims, &filler)?;
        self.recurrence.draw_later_steps(setup, &[(Shape::from(dims), &filler)])
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        let anew = self.recurrence.reshape(io)?;
        let length = self.recurrence.sizes.streams * self.recurrence.hidden;
        if anew || self.cells.len() != self.recurrence.sizes.steps + 1 {
            self.cells = (0..=self.recurrence.sizes.steps).map(|_| Buffer::zeros(length)).collect();
            self.last = Buffer::zeros(length);
        }
        self.first.resize(length);
        self.hidden_diff.resize(length);
        self.cell_diffs.iter_mut().for_each(|buffer| buffer.resize(length));
        Ok(())
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        // Snapshots read them.
        [Some(&self.last), self.cells.last()].iter().flatten().for_each(|state| state.will_be_written_on(io.device()));
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.begin(io);
        let recurrence = &self.recurrence;
        recurrence.enter_inputs(io);
        let mut previous = self.first.clone();
        for step in 0..recurrence.sizes.steps {
            let gates = recurrence.enter_state(io, step, &previous);
            let hidden = recurrence.at(step, io.top(0).data(), recurrence.hidden);
            let continues = recurrence.continues(io, step);
            recurrent::lstm_forward(io.device(), self.step(step, &gates, &continues, &hidden));
            previous = hidden;
        }
        elementwise::copy(io.device(), &previous, &self.last);
        if recurrence.exposes_hidden() {
            elementwise::copy(io.device(), &self.last, io.top(1).data());
            elementwise::copy(io.device(), &self.cells[recurrence.sizes.steps], io.top(2).data());
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let recurrence = &self.recurrence;
        recurrence.check_gradients(io)?;
        let device = io.device();
        let [mut after, mut before] = self.cell_diffs.each_ref();
        elementwise::fill(device, 0.0, after);
        for step in (0..recurrence.sizes.steps).rev() {
            let top = recurrence.at(step, io.top(0).diff(), recurrence.hidden);
            match step + 1 == recurrence.sizes.steps {
                true => elementwise::copy(device, &top, &self.hidden_diff),
                false => elementwise::add(device, &top, recurrence.state_gradient(io, step + 1), &self.hidden_diff),
            }
            let gates = recurrence.at(step, &recurrence.entering, recurrence.width);
            let gates_diff = recurrence.at(step, &recurrence.entering_diff, recurrence.width);
            let hidden = recurrence.at(step, io.top(0).data(), recurrence.hidden);
            let continues = recurrence.continues(io, step);
            let diff = LstmStepDiff { cell: after, hidden: &self.hidden_diff, previous: before, gates: &gates_diff };
            recurrent::lstm_backward(device, self.step(step, &gates, &continues, &hidden), diff);
            std::mem::swap(&mut after, &mut before);
        }
        recurrence.leave(io);
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn work(&self, io: &Io<'_>) -> Work {
        self.recurrence.work(io)
    }

    fn state(&self) -> Option<LayerState> {
        self.recurrence.save(&[&self.last, self.cells.last()?])
    }

    fn restore(&mut self, state: &LayerState) -> Result<()> {
        let states: Vec<&Buffer> = std::iter::once(&self.last).chain(self.cells.last()).collect();
        self.recurrence.restore(state, &states)
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
        rng::Random,
    };

    fn lstm(size: u32, expose_hidden: bool) -> LayerParameter {
        let filler =
            FillerParameter { r#type: Some("uniform".into()), min: Some(-0.5), max: Some(0.5), ..Default::default() };
        let options = RecurrentParameter {
            num_output: Some(size),
            weight_filler: Some(filler.clone()),
            bias_filler: Some(filler),
            expose_hidden: Some(expose_hidden),
            ..Default::default()
        };
        LayerParameter { r#type: Some("LSTM".into()), recurrent_param: Some(options), ..Default::default() }
    }

    #[test]
    fn the_state_goes_on_from_batch_to_batch_until_a_sequence_begins() {
        let x = values(12, 1);
        let whole = Trial::of(&lstm(3, false)).bottom([4, 1, 3], x.clone()).constant([4, 1], [0.0, 1.0, 1.0, 1.0]);
        let whole = whole.run().unwrap().top(0);
        let mut halves =
            Trial::of(&lstm(3, false)).bottom([2, 1, 3], &x[..6]).constant([2, 1], [0.0, 1.0]).run().unwrap();
        // The four steps draw more weights than the two: only the first step's count, so that both layers have the same.
        assert_close(&halves.top(0), &whole[..6]);
        halves.set_bottom(0, [2, 1, 3], &x[6..]).unwrap();
        halves.set_bottom(1, [2, 1], &[1.0, 1.0]).unwrap();
        halves.forward().unwrap();
        assert_close(&halves.top(0), &whole[6..]);
        halves.set_bottom(0, [2, 1, 3], &x[..6]).unwrap();
        halves.set_bottom(1, [2, 1], &[0.0, 1.0]).unwrap();
        halves.forward().unwrap();
        assert_close(&halves.top(0), &whole[..6]);
    }

    #[test]
    fn exposed_states_come_in_and_go_out() {
        let x = values(12, 2);
        let whole = Trial::of(&lstm(2, false)).bottom([4, 1, 3], x.clone()).constant([4, 1], [0.0, 1.0, 1.0, 1.0]);
        let whole = whole.run().unwrap().top(0);
        let half = |x: &[f32], states: [Vec<f32>; 2]| {
            let [h, c] = states;
            let trial = Trial::of(&lstm(2, true)).bottom([2, 1, 3], x).constant([2, 1], [1.0, 1.0]);
            trial.bottom([1, 1, 2], h).bottom([1, 1, 2], c).tops(3).run().unwrap()
        };
        let first = half(&x[..6], [vec![0.0; 2], vec![0.0; 2]]);
        let second = half(&x[6..], [first.top(1), first.top(2)]);
        assert_close(&[first.top(0), second.top(0)].concat(), &whole);
        assert_close(&second.top(1), &whole[6..]);
    }

    #[test]
    fn each_step_draws_weights_of_which_the_first_count() {
        let trial = Trial::of(&lstm(2, false)).seed(3).bottom([3, 1, 5], [0.0; 15]).constant([3, 1], [0.0; 3]);
        let trial = trial.build().unwrap();
        let mut random = Random::new(3);
        random.fill_uniform(&mut vec![0.0; 8 * 5 + 8 + 3 * 8 * 2], -0.5, 0.5);
        assert_eq!(trial.random().lock().next_u32(), random.next_u32());
    }

    #[test]
    fn gradients() {
        let cont = [0.0, 0.0, 1.0, 1.0, 0.0, 1.0];
        let mut trial =
            Trial::of(&lstm(2, false)).bottom([3, 2, 2], values(12, 5)).constant([3, 2], cont).run().unwrap();
        GradientCheck::default().run(&mut trial);
        let trial = Trial::of(&lstm(2, false)).bottom([3, 2, 2], values(12, 5)).constant([3, 2], cont);
        let mut trial = trial.bottom([2, 3], values(6, 6)).run().unwrap();
        GradientCheck::default().run(&mut trial);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |trial: crate::layers::testing::TrialBuilder| trial.build().err().unwrap().to_string();
        let x = |layer: &LayerParameter| Trial::of(layer).bottom([2, 3, 4], [0.0; 24]);
        assert!(error(x(&lstm(0, false)).constant([2, 3], [0.0; 6])).starts_with("recurrent_param.num_output"));
        assert!(error(x(&lstm(2, false)).constant([3, 2], [0.0; 6])).contains("needs shape 2×3"));
        assert!(error(x(&lstm(2, true)).constant([2, 3], [0.0; 6])).contains("needs 4 bottoms"));
        let fixed = x(&lstm(2, false)).constant([2, 3], [0.0; 6]).bottom([2, 1], [0.0; 2]);
        assert!(error(fixed).contains("static input"));
    }
}
