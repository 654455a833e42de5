//! Passes over a net, timed layer by layer.

use std::time::{Duration, Instant};

use log::info;

use crate::{error::Result, net::Net, report::lines::tool, solver::Solver};

/// What is timed.
pub enum Subject {
    /// A net: forward and backward.
    Net(Box<Net>),
    /// A solver: forward, backward and update.
    Solver(Box<Solver>),
}

impl Subject {
    /// The net that runs.
    pub fn net(&mut self) -> &mut Net {
        match self {
            Subject::Net(net) => net,
            Subject::Solver(solver) => solver.net_mut(),
        }
    }
}

/// The times of all passes.
pub struct Passes {
    /// For each layer its forward passes.
    pub forward: Vec<Vec<Duration>>,
    /// For each layer its backward passes.
    pub backward: Vec<Vec<Duration>>,
    /// Clearing the gradients and changing the parameters; nothing for a net without a solver.
    pub update: Vec<Duration>,
    /// All layers forward and backward.
    both: Vec<Duration>,
}

impl Passes {
    /// No passes yet over so many layers.
    pub fn new(layers: usize) -> Self {
        Passes {
            forward: vec![Vec::new(); layers],
            backward: vec![Vec::new(); layers],
            update: Vec::new(),
            both: Vec::new(),
        }
    }

    /// Runs and times one iteration, and prints its line.
    ///
    /// # Errors
    /// When a layer fails.
    pub fn measure_and_print(&mut self, subject: &mut Subject, number: usize) -> Result<()> {
        let [both, update] = self.measure(subject)?;
        info!("{}", tool::timed_iteration(number, milliseconds(both) as f32));
        if matches!(subject, Subject::Solver(_)) {
            info!("Iteration: {number} update time: {:.6} ms.", milliseconds(update));
        }
        Ok(())
    }

    /// Runs and times one iteration, layer by layer. Returns the time of all layers and of the update.
    ///
    /// # Errors
    /// When a layer fails.
    pub fn measure(&mut self, subject: &mut Subject) -> Result<[Duration; 2]> {
        let mut update = Duration::ZERO;
        if let Subject::Solver(solver) = subject {
            let start = Instant::now();
            solver.net_mut().replace_gradients();
            update += start.elapsed();
        }
        let both = self.measure_net(subject.net())?;
        self.both.push(both);
        if let Subject::Solver(solver) = subject {
            let start = Instant::now();
            solver.update()?;
            solver.net().device().synchronize();
            update += start.elapsed();
            self.update.push(update);
        }
        Ok([both, update])
    }

    fn measure_net(&mut self, net: &mut Net) -> Result<Duration> {
        let start = Instant::now();
        for (layer, times) in self.forward.iter_mut().enumerate() {
            let start = Instant::now();
            net.forward_layer(layer)?;
            net.device().synchronize();
            times.push(start.elapsed());
        }
        for (layer, times) in self.backward.iter_mut().enumerate().rev() {
            let start = Instant::now();
            net.backward_layer(layer)?;
            net.device().synchronize();
            times.push(start.elapsed());
        }
        Ok(start.elapsed())
    }

    /// The times of whole iterations, updates included.
    pub fn iterations(&self) -> Vec<Duration> {
        let updates = self.update.iter().copied().chain(std::iter::repeat(Duration::ZERO));
        self.both.iter().zip(updates).map(|(&both, update)| both + update).collect()
    }

    /// Prints Caffe's lines: the means.
    pub fn print_means(&self, net: &Net) {
        let all = |times: &[Vec<Duration>]| times.iter().map(|times| mean(times)).sum::<f64>();
        info!("{}", tool::average_per_layer());
        for (layer, name) in net.layer_names().enumerate() {
            info!("{}", tool::layer_time(name, "forward", mean(&self.forward[layer])));
            info!("{}", tool::layer_time(name, "backward", mean(&self.backward[layer])));
        }
        info!("{}", tool::average("Forward pass", all(&self.forward)));
        info!("{}", tool::average("Backward pass", all(&self.backward)));
        info!("{}", tool::average("Forward-Backward", mean(&self.both)));
        if !self.update.is_empty() {
            info!("{}", tool::average("Update", mean(&self.update)));
        }
        info!("{}", tool::total_time(milliseconds(self.iterations().iter().sum()) as f32));
    }
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mean(times: &[Duration]) -> f64 {
    milliseconds(times.iter().sum()) / times.len() as f64
}

/// The median, in milliseconds.
pub fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => milliseconds(sorted[count / 2]),
        count => milliseconds(sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}
