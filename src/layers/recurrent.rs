//! What RNN and LSTM share: sequences in, the state that goes from step to step, the weights of all steps.
//!
//! Caffe unrolls these layers into nets; here a loop over the steps calls the same arithmetic, and what does not depend on the
//! step before (the products with x, the gradients of weights) is one product for all steps.

use crate::{
    error::{Error, Result},
    layers::{Io, Setup, Work},
    ops::{
        elementwise,
        gemm::{self, Gemm},
        recurrent,
    },
    proto::{FillerParameter, LayerParameter, LayerState, RecurrentParameter},
    rng,
    tensor::{Blob, Buffer, MOST_VALUES, Shape},
};

/// Positions of the parameters that both layers have: weights and bias of x; then, if there is a static input, its weights.
pub(super) const INPUT_WEIGHTS: usize = 0;
pub(super) const INPUT_BIAS: usize = 1;

/// Sizes of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// T.
    pub steps: usize,
    /// N.
    pub streams: usize,
    /// Values of x per step and stream.
    pub input: usize,
    /// Values of the static input per stream; 0 without one.
    pub fixed: usize,
}

/// The part of a recurrent layer that RNN and LSTM share.
pub(super) struct Recurrence {
    options: RecurrentParameter,
    /// H, `num_output`.
    pub hidden: usize,
    /// Values that enter the step's function for each stream: H, or 4H for the gates of an LSTM.
    pub width: usize,
    /// Kinds of state: h; in an LSTM c too.
    states: usize,
    has_static: bool,
    pub sizes: Sizes,
    /// What enters the step's function, T×N×width.
    pub entering: Buffer,
    /// Its gradient.
    pub entering_diff: Buffer,
    /// W·(static input), N×width, and its gradient.
    fixed: Buffer,
    fixed_diff: Buffer,
    /// h of the step before, zero where a sequence begins: T×N×H.
    pub carried: Buffer,
    /// Its gradient for one step, before and after the sequences' beginnings were cut off.
    carried_diff: [Buffer; 2],
}

impl Recurrence {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `num_output` is missing or too large.
    pub(super) fn new(layer: &LayerParameter, gates: usize, states: usize) -> Result<Self> {
        let options = layer.recurrent_param.clone().unwrap_or_default();
        let hidden = options.num_output() as usize;
        if hidden == 0 || hidden > MOST_VALUES / gates {
            let message = format!("must be from 1 to {}: the length of the hidden state", MOST_VALUES / gates);
            return Err(Error::config("recurrent_param.num_output", message));
        }
        Ok(Recurrence {
            options,
            hidden,
            width: gates * hidden,
            states,
            has_static: false,
            sizes: Sizes::default(),
            entering: Buffer::default(),
            entering_diff: Buffer::default(),
            fixed: Buffer::default(),
            fixed_diff: Buffer::default(),
            carried: Buffer::default(),
            carried_diff: [Buffer::default(), Buffer::default()],
        })
    }

    /// Whether the first states are bottoms and the last ones tops.
    pub(super) fn exposes_hidden(&self) -> bool {
        self.options.expose_hidden()
    }

    /// The position of the first state among the bottoms, with `expose_hidden`.
    pub(super) fn first_state(&self) -> usize {
        2 + usize::from(self.has_static)
    }

    /// The position of the hidden state's weights among the parameters.
    pub(super) fn hidden_weights(&self) -> usize {
        2 + usize::from(self.has_static)
    }

    /// The filler of weights.
    pub(super) fn weight_filler(&self) -> FillerParameter {
        self.options.weight_filler.clone().unwrap_or_default()
    }

    /// The filler of biases.
    pub(super) fn bias_filler(&self) -> FillerParameter {
        self.options.bias_filler.clone().unwrap_or_default()
    }

    /// Checks the numbers of bottoms and tops and the bottoms' shapes, and makes the parameters of x and of the static input.
    ///
    /// # Errors
    /// When they do not fit.
    pub(super) fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let exposed = if self.exposes_hidden() { self.states } else { 0 };
        let (bottoms, tops) = (setup.bottoms.len(), setup.tops);
        if bottoms < 2 + exposed || bottoms > 3 + exposed || tops != 1 + exposed {
            let message = format!(
                "has {bottoms} bottoms and {tops} tops; with recurrent_param.expose_hidden: {} it needs {} bottoms (one more \
                 with a static input) and {} tops",
                self.exposes_hidden(),
                2 + exposed,
                1 + exposed
            );
            return Err(Error::shape(message));
        }
        self.has_static = bottoms > 2 + exposed;
        let shapes: Vec<&Shape> = setup.bottoms.iter().collect();
        let sizes = self.sizes_of(&shapes)?;
        let (weights, biases) = (self.weight_filler(), self.bias_filler());
        self.add_weights(setup, [self.width, sizes.input], &weights)?;
        setup.add_parameter(Shape::from([self.width]), &biases, "recurrent_param.bias_filler")?;
        if self.has_static {
            self.add_weights(setup, [self.width, sizes.fixed], &weights)?;
        }
        Ok(())
    }

    /// Makes a parameter of rows×columns.
    ///
    /// # Errors
    /// When it would be too large or the filler cannot fill it.
    pub(super) fn add_weights(&self, setup: &mut Setup<'_>, dims: [usize; 2], filler: &FillerParameter) -> Result<()> {
        if dims[0].checked_mul(dims[1]).is_none_or(|count| count > MOST_VALUES) {
            let message = format!("weights of {} would be more than {MOST_VALUES} values", Shape::from(dims));
            return Err(Error::config("recurrent_param.num_output", message));
        }
        setup.add_parameter(Shape::from(dims), filler, "recurrent_param.weight_filler")
    }

    /// Draws what Caffe draws for the parameters of the steps behind the first: it fills each step's and keeps the first's.
    ///
    /// # Errors
    /// When a filler cannot fill its shape.
    pub(super) fn draw_later_steps(&self, setup: &Setup<'_>, parameters: &[(Shape, &FillerParameter)]) -> Result<()> {
        for _ in 1..self.steps_of(setup) {
            for (shape, filler) in parameters {
                if filler.r#type() != "constant" {
                    let blob = Blob::new(shape.clone());
                    let mut random = setup.context.random.lock();
                    rng::fill(filler, shape, &mut blob.data().host_mut(), &mut random, "recurrent_param")?;
                }
            }
        }
        Ok(())
    }

    fn steps_of(&self, setup: &Setup<'_>) -> usize {
        setup.bottoms[0].legacy(0)
    }

    fn sizes_of(&self, shapes: &[&Shape]) -> Result<Sizes> {
        let sequence = shapes[0];
        let &[steps, streams, ..] = sequence.dims() else {
            let message = format!("bottom 0 needs shape T×N×... (steps, streams, values); it is {sequence}");
            return Err(Error::shape(message));
        };
        if sequence.count() == 0 {
            return Err(Error::shape(format!("bottom 0 has no values: {sequence}")));
        }
        if shapes[1].dims() != [steps, streams] {
            let message = format!(
                "bottom 1 (0 where a sequence begins, else 1) needs shape {steps}×{streams} beside bottom 0 ({sequence}); \
                 it is {}",
                shapes[1]
            );
            return Err(Error::shape(message));
        }
        let mut sizes = Sizes { steps, streams, input: sequence.count_from(2), fixed: 0 };
        if self.has_static {
            let shape = shapes[2];
            if shape.dims().first() != Some(&streams) || shape.count() == 0 {
                let message = format!("bottom 2 (static input) needs shape {streams}×...; it is {shape}");
                return Err(Error::shape(message));
            }
            sizes.fixed = shape.count_from(1);
        }
        if steps.checked_mul(streams).and_then(|count| count.checked_mul(self.width)).is_none_or(|n| n > MOST_VALUES) {
            let message = format!("{steps} steps of {streams} streams are more than {MOST_VALUES} values");
            return Err(Error::config("recurrent_param.num_output", message));
        }
        Ok(sizes)
    }

    /// Takes the bottoms' shapes, gives the tops theirs and memory its size. True when the states must begin anew, because
    /// there are other streams now.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub(super) fn reshape(&mut self, io: &mut Io<'_>) -> Result<bool> {
        io.refuse_in_place()?;
        let shapes: Vec<&Shape> = (0..io.bottoms.len()).map(|position| io.bottom(position).shape()).collect();
        let sizes = self.sizes_of(&shapes)?;
        let weights = io.parameter(INPUT_WEIGHTS).dim(1);
        if sizes.input != weights || (self.has_static && sizes.fixed != io.parameter(2).dim(1)) {
            let message = format!("bottom 0 has {} values per step, the weights are for {weights}", sizes.input);
            return Err(Error::shape(message));
        }
        let state = Shape::from([1, sizes.streams, self.hidden]);
        for position in self.first_state()..io.bottoms.len() {
            if *io.bottom(position).shape() != state {
                let found = io.bottom(position).shape();
                return Err(Error::shape(format!(
                    "bottom {position} (first state) needs shape {state}; it is {found}"
                )));
            }
        }
        let begins_anew = sizes.streams != self.sizes.streams;
        self.sizes = sizes;
        let rows = sizes.steps * sizes.streams;
        self.entering.resize(rows * self.width);
        self.entering_diff.resize(rows * self.width);
        self.carried.resize(rows * self.hidden);
        self.carried_diff.iter_mut().for_each(|buffer| buffer.resize(sizes.streams * self.hidden));
        if self.has_static {
            self.fixed.resize(sizes.streams * self.width);
            self.fixed_diff.resize(sizes.streams * self.width);
        }
        io.set_top_shape(0, &Shape::from([sizes.steps, sizes.streams, self.hidden]))?;
        for position in 1..io.tops.len() {
            io.set_top_shape(position, &state)?;
        }
        Ok(begins_anew)
    }

    /// The step's part of a buffer that has `width` values per step and stream.
    pub(super) fn at(&self, step: usize, buffer: &Buffer, width: usize) -> Buffer {
        let length = self.sizes.streams * width;
        buffer.slice(step * length, length)
    }

    /// Where the step's streams begin anew: N values.
    pub(super) fn continues(&self, io: &Io<'_>, step: usize) -> Buffer {
        self.at(step, io.bottom(1).data(), 1)
    }

    /// W·x + b, and the static input's share, for all steps.
    pub(super) fn enter_inputs(&self, io: &Io<'_>) {
        let Sizes { steps, streams, input, fixed } = self.sizes;
        let device = io.device();
        let product = Gemm { transpose_b: true, ..Gemm::new(steps * streams, self.width, input) };
        product.run(device, io.bottom(0).data(), io.parameter(INPUT_WEIGHTS).data(), &self.entering);
        gemm::add_to_rows(device, io.parameter(INPUT_BIAS).data(), &self.entering);
        if self.has_static {
            let product = Gemm { transpose_b: true, ..Gemm::new(streams, self.width, fixed) };
            product.run(device, io.bottom(2).data(), io.parameter(2).data(), &self.fixed);
            gemm::add_to_rows(device, &self.fixed, &self.entering);
        }
    }

    /// Adds the state before a step, where its sequence goes on, to what enters the step; returns that.
    pub(super) fn enter_state(&self, io: &Io<'_>, step: usize, previous: &Buffer) -> Buffer {
        let carried = self.at(step, &self.carried, self.hidden);
        recurrent::scale_rows(io.device(), previous, &self.continues(io, step), &carried);
        let entering = self.at(step, &self.entering, self.width);
        let weights = io.parameter(self.hidden_weights()).data();
        let product = Gemm { transpose_b: true, beta: 1.0, ..Gemm::new(self.sizes.streams, self.width, self.hidden) };
        product.run(io.device(), &carried, weights, &entering);
        entering
    }

    /// The gradient that a step, whose `entering_diff` is known, sends to the hidden state before it.
    pub(super) fn state_gradient(&self, io: &Io<'_>, step: usize) -> &Buffer {
        let [whole, cut] = &self.carried_diff;
        let product = Gemm::new(self.sizes.streams, self.hidden, self.width);
        let weights = io.parameter(self.hidden_weights()).data();
        product.run(io.device(), &self.at(step, &self.entering_diff, self.width), weights, whole);
        recurrent::scale_rows(io.device(), whole, &self.continues(io, step), cut);
        cut
    }

    /// The products with x, with the static input and with the state before each step.
    pub(super) fn work(&self, io: &Io<'_>) -> Work {
        let Sizes { steps, streams, input, fixed } = self.sizes;
        let inputs = Work::of_product(io, 0, INPUT_WEIGHTS, steps * streams * self.width * input);
        let states = Work::of_inner_product(io, self.hidden_weights(), steps * streams * self.width * self.hidden);
        let of_static = || Work::of_product(io, 2, 2, streams * self.width * fixed);
        inputs + states + if self.has_static { of_static() } else { Work::default() }
    }

    /// The gradients of the weights and of the inputs, once `entering_diff` is known for all steps.
    pub(super) fn leave(&self, io: &Io<'_>) {
        let Sizes { steps, streams, .. } = self.sizes;
        let (device, rows) = (io.device(), steps * streams);
        if io.wants_parameter_gradient(INPUT_BIAS) {
            gemm::sum_rows(device, &self.entering_diff, io.parameter(INPUT_BIAS).diff());
        }
        add_weight_gradient(io, self.hidden_weights(), rows, &self.entering_diff, &self.carried);
        add_weight_gradient(io, INPUT_WEIGHTS, rows, &self.entering_diff, io.bottom(0).data());
        self.input_gradient(io, 0, rows, &self.entering_diff);
        if self.has_static {
            elementwise::fill(device, 0.0, &self.fixed_diff);
            gemm::sum_rows(device, &self.entering_diff, &self.fixed_diff);
            add_weight_gradient(io, 2, streams, &self.fixed_diff, io.bottom(2).data());
            self.input_gradient(io, 2, streams, &self.fixed_diff);
        }
        // As in Caffe, no gradient goes further back than the first step.
        for position in self.first_state()..io.bottoms.len() {
            if io.wants_bottom_gradient(position) {
                elementwise::fill(device, 0.0, io.bottom(position).diff());
            }
        }
    }

    /// The gradient of an input, whose weights are the parameter at the same position.
    fn input_gradient(&self, io: &Io<'_>, position: usize, rows: usize, diff: &Buffer) {
        if io.wants_bottom_gradient(position) {
            let weights = io.parameter(position);
            let product = Gemm::new(rows, weights.dim(1), self.width);
            product.run(io.device(), diff, weights.data(), io.bottom(position).diff());
        }
    }

    /// What goes on from batch to batch, one state behind the other; `None` when states come from bottoms.
    pub(super) fn save(&self, states: &[&Buffer]) -> Option<LayerState> {
        if self.exposes_hidden() {
            return None;
        }
        let value = states.iter().flat_map(|state| state.host().to_vec()).collect();
        Some(LayerState { value, ..LayerState::default() })
    }

    /// Sets the states to those that were saved.
    ///
    /// # Errors
    /// When they are of other streams or another length.
    pub(super) fn restore(&self, saved: &LayerState, states: &[&Buffer]) -> Result<()> {
        let wanted: usize = states.iter().map(|state| state.len()).sum();
        if self.exposes_hidden() || saved.value.len() != wanted {
            let message = format!("the snapshot holds {} values of state, the layer has {wanted}", saved.value.len());
            return Err(Error::shape(message));
        }
        let mut rest = saved.value.as_slice();
        for state in states {
            let (values, behind) = rest.split_at(state.len());
            state.host_mut().copy_from_slice(values);
            rest = behind;
        }
        Ok(())
    }

    /// # Errors
    /// When the gradient of the sequence indicators is asked for.
    pub(super) fn check_gradients(&self, io: &Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(1) {
            return Err(Error::config("bottom", "the sequence indicators (bottom 1) have no gradient"));
        }
        Ok(())
    }
}

/// weights_diff += diffᵀ · x, where diff is rows×(weights' rows) and x rows×(weights' columns).
pub(super) fn add_weight_gradient(io: &Io<'_>, parameter: usize, rows: usize, diff: &Buffer, x: &Buffer) {
    if io.wants_parameter_gradient(parameter) {
        let weights = io.parameter(parameter);
        let product = Gemm { transpose_a: true, beta: 1.0, ..Gemm::new(weights.dim(0), weights.dim(1), rows) };
        product.run(io.device(), diff, x, weights.diff());
    }
}
