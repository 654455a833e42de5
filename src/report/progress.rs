//! The bar of a training run: iterations done, time left, learning rate, loss. Shown on a terminal only, below the log lines.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::glog;
use crate::{
    prototxt::number::stream,
    solver::{Event, Iteration, Observer},
};

/// How often the bar changes, at most.
const PERIOD: Duration = Duration::from_millis(100);

/// The bar, from the beginning of a run to its end.
#[derive(Debug, Default)]
pub struct Progress(Option<Bar>);

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    shown: Instant,
}

impl Progress {
    /// A bar that appears when a run begins, if stderr is a terminal.
    pub fn new() -> Self {
        Progress::default()
    }
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Solving { iteration, end, .. } => self.0 = Some(Bar::new(*iteration, *end)),
            Event::Iteration(iteration) => {
                if let Some(bar) = &mut self.0 {
                    bar.show(iteration);
                }
            }
            Event::StoppedEarly | Event::Done => self.0 = None,
            _ => {}
        }
    }
}

impl Bar {
    fn new(start: usize, end: usize) -> Self {
        let bar = ProgressBar::new(end as u64);
        let template = "{bar:30} {pos}/{len}  {msg}  {per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_position(start as u64);
        bar.reset_eta();
        if !bar.is_hidden() {
            glog::set_bar(Some(bar.clone()));
        }
        Bar { bar, shown: Instant::now() }
    }

    fn show(&mut self, at: &Iteration<'_>) {
        if self.bar.is_hidden() || self.shown.elapsed() < PERIOD {
            return;
        }
        self.shown = Instant::now();
        self.bar.set_message(format!("lr {}  loss {}", stream(at.rate), stream(at.smoothed_loss)));
        self.bar.set_position(at.iteration as u64);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if !self.bar.is_hidden() {
            glog::set_bar(None);
            self.bar.finish_and_clear();
        }
    }
}
