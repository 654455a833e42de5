//! What happens in a run, told to whoever listens: log lines, progress bars, metrics files.

use std::path::Path;

use crate::{net::Net, proto::SolverParameter};

/// Someone who wants to know what happens in a run.
pub trait Observer: Send {
    /// Called for every event, in order.
    fn observe(&mut self, event: &Event<'_>);

    /// Whether [`Iteration::gradient_norm`] is to be there: it takes a pass over all gradients.
    fn wants_gradient_norm(&self) -> bool {
        false
    }
}

/// A closure listens too.
impl<F: FnMut(&Event<'_>) + Send> Observer for F {
    fn observe(&mut self, event: &Event<'_>) {
        self(event);
    }
}

/// Something that happened in a run.
pub enum Event<'a> {
    /// A solver is being set up from this message.
    Initializing(&'a SolverParameter),
    /// The training net is about to be built from this source.
    CreatingTrainNet(NetSource<'a>),
    /// A test net is about to be built from this source.
    CreatingTestNet(usize, NetSource<'a>),
    /// Weights are about to be copied from this file.
    Finetuning(&'a str),
    /// All nets are built.
    Ready,
    /// The run begins.
    Solving {
        /// The net's name.
        net: &'a str,
        /// The learning-rate policy.
        policy: &'a str,
        /// The iteration to begin with.
        iteration: usize,
        /// The iteration to end at.
        end: usize,
    },
    /// A stage of a staged schedule begins.
    Stage {
        /// Counted from 0.
        stage: usize,
        /// How many there are.
        stages: usize,
        /// The iteration at which it begins.
        iteration: usize,
        /// The iteration at which it ends.
        end: usize,
        /// Its learning-rate policy.
        policy: &'a str,
    },
    /// The momentum history is about to be read from a snapshot.
    RestoringHistory,
    /// The state of a snapshot, or of the solver before this one, is taken over.
    Resumed {
        /// Iterations done.
        iteration: usize,
        /// The learning rate of the last iteration, where it is known.
        from: Option<f32>,
        /// The learning rate of the next iteration.
        to: f32,
    },
    /// `plateau` lowers the learning rate.
    Plateau {
        /// The iteration.
        iteration: usize,
        /// Drops so far, this one included.
        step: usize,
    },
    /// `multistep` takes its next step.
    Multistep {
        /// The iteration.
        iteration: usize,
        /// Steps taken, this one included.
        step: usize,
    },
    /// An iteration has its loss and gradients; the update follows.
    Iteration(Iteration<'a>),
    /// Gradients were scaled down to `clip_gradients`.
    Clipped {
        /// Their L2 norm.
        norm: f32,
        /// The limit.
        limit: f32,
        /// The factor applied.
        factor: f32,
    },
    /// A test pass begins.
    Testing {
        /// The iteration.
        iteration: usize,
        /// Which test net.
        net: usize,
    },
    /// A test pass is done.
    Tested(TestResult<'a>),
    /// The output that `snapshot_best` names is better than in all tests before; a snapshot follows.
    Best {
        /// The output.
        output: &'a str,
        /// Its mean.
        value: f32,
    },
    /// A stop was asked for during a test pass.
    TestInterrupted,
    /// Weights are about to be written.
    SnapshotWeights(&'a Path),
    /// The solver's state is about to be written.
    SnapshotState(&'a Path),
    /// The run is over; the loss of one more forward pass, as Caffe shows it when `display` divides `max_iter`.
    LastLoss {
        /// Iterations done.
        iteration: usize,
        /// The smoothed loss.
        loss: f32,
    },
    /// The run stopped on request.
    StoppedEarly,
    /// The run reached its end.
    Done,
}

/// Where a net comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetSource<'a> {
    /// `net: "FILE"`.
    Net(&'a str),
    /// `net_param { }`.
    NetParam,
    /// `train_net: "FILE"` or `test_net: "FILE"`.
    PhaseNet(&'a str),
    /// `train_net_param { }` or `test_net_param { }`.
    PhaseNetParam,
}

/// One iteration of training.
pub struct Iteration<'a> {
    /// Counted from 0.
    pub iteration: usize,
    /// Whether `display` asks for a line.
    pub display: bool,
    /// The loss, mean over `iter_size`.
    pub loss: f32,
    /// The mean of the last `average_loss` losses.
    pub smoothed_loss: f32,
    /// The learning rate that the update will use.
    pub rate: f32,
    /// Its momentum.
    pub momentum: f32,
    /// Its weight decay.
    pub weight_decay: f32,
    /// The L2 norm of the gradient of all parameters, as `clip_gradients` sees it: summed over `iter_size`, before clipping. Computed
    /// when an observer wants it.
    pub gradient_norm: Option<f32>,
    /// Whether momentum or weight decay have policies of their own: the log line then names them too.
    pub more_than_the_rate_changes: bool,
    /// Seconds since the last displayed iteration, and how many iterations were done in them.
    pub pace: Pace,
    /// The training net, for its outputs.
    pub net: &'a Net,
}

/// How fast training goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// Seconds since the last displayed iteration.
    pub seconds: f32,
    /// Iterations since then.
    pub iterations: usize,
}

/// The result of a test pass.
pub struct TestResult<'a> {
    /// The training iteration.
    pub iteration: usize,
    /// Which test net.
    pub net: usize,
    /// The learning rate of the iteration.
    pub rate: f32,
    /// The mean loss, when `test_compute_loss` asks for it.
    pub loss: Option<f32>,
    /// Means of the outputs, value by value.
    pub scores: &'a [Score],
}

/// The mean of one output value over a test pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The blob's name.
    pub name: String,
    /// The mean.
    pub value: f32,
    /// The blob's weight in the loss; 0 when it is no loss.
    pub loss_weight: f32,
}
