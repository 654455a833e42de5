//! The bar of a training run: iterations done, time left, learning rate, loss. Shown on a terminal only, below the log lines.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{glog, number::general};

/// How often the bar changes, at most.
const PERIOD: Duration = Duration::from_millis(100);

/// The bar; gone when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    shown: Instant,
}

impl Progress {
    /// Puts the bar on the terminal, if stderr is one and `wanted` is set.
    pub fn new(start: usize, end: usize, wanted: bool) -> Self {
        let bar = if wanted { ProgressBar::new(end as u64) } else { ProgressBar::hidden() };
        let template = "{bar:30} {pos}/{len}  {msg}  {per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_position(start as u64);
        bar.reset_eta();
        if !bar.is_hidden() {
            glog::set_bar(Some(bar.clone()));
        }
        Progress { bar, shown: Instant::now() }
    }

    /// Shows an iteration. `values` gives learning rate and loss; it is called only when the bar is about to change.
    pub fn at(&mut self, iteration: usize, values: impl FnOnce() -> (f32, f32)) {
        if self.bar.is_hidden() || self.shown.elapsed() < PERIOD {
            return;
        }
        self.shown = Instant::now();
        let (rate, loss) = values();
        self.bar.set_message(format!("lr {}  loss {}", general(rate), general(loss)));
        self.bar.set_position(iteration as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.bar.is_hidden() {
            glog::set_bar(None);
            self.bar.finish_and_clear();
        }
    }
}
