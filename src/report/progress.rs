//! The bar of a training run: iterations done, learning rate, loss, images per second, time left. Shown on a terminal only, below
//! the log lines, without colours, and not where lines are hidden (`--quiet`); in a file there are plain lines only.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::glog;
use crate::{
    net::Net,
    prototxt::number::stream,
    solver::{Event, Iteration, Observer},
};

/// How often the bar changes, at most.
const PERIOD: Duration = Duration::from_millis(100);

/// The bar, from the beginning of a run to its end.
#[derive(Debug, Default)]
pub struct Progress {
    bar: Option<Bar>,
    /// Batches of an iteration.
    batches: usize,
}

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
            Event::Initializing(solver) => self.batches = solver.iter_size().max(1) as usize,
            Event::Solving { iteration, end, .. } if !glog::is_quiet() => self.bar = Some(Bar::new(*iteration, *end)),
            Event::Iteration(iteration) => {
                if let Some(bar) = &mut self.bar {
                    bar.show(iteration, self.batches);
                }
            }
            Event::StoppedEarly | Event::Done => self.bar = None,
            _ => {}
        }
    }
}

impl Bar {
    fn new(start: usize, end: usize) -> Self {
        let bar = ProgressBar::new(end as u64);
        let template = "{bar:30} {pos}/{len}  {msg}  {eta} left";
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

    fn show(&mut self, at: &Iteration<'_>, batches: usize) {
        if self.bar.is_hidden() || self.shown.elapsed() < PERIOD {
            return;
        }
        self.shown = Instant::now();
        self.bar.set_position(at.iteration as u64);
        let speed = batch(at.net).map(|images| self.bar.per_sec() * (images * batches) as f64);
        self.bar.set_message(message(at.rate, at.smoothed_loss, speed));
    }
}

/// The images of a batch: the first dimension of what the first layer makes.
fn batch(net: &Net) -> Option<usize> {
    let top = net.layer_tops(0).next()?;
    net.blob(top)?.shape().dims().first().copied()
}

fn message(rate: f32, loss: f32, images_per_second: Option<f64>) -> String {
    let speed = images_per_second.map_or_else(String::new, |speed| format!("  {speed:.0} images/s"));
    format!("lr {}  loss {}{speed}", stream(rate), stream(loss))
}

impl Drop for Bar {
    fn drop(&mut self) {
        if !self.bar.is_hidden() {
            glog::set_bar(None);
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prototxt::parse_net, rng::SharedRandom};

    #[test]
    fn the_message_has_rate_loss_and_speed() {
        assert_eq!(message(0.001, 1.234_567, Some(1999.6)), "lr 0.001  loss 1.23457  2000 images/s");
        assert_eq!(message(0.001, 1.234_567, None), "lr 0.001  loss 1.23457");
    }

    #[test]
    fn the_batch_is_that_of_the_data() {
        let text = r#"layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 7 dim: 3 } } }"#;
        let net = Net::new(&parse_net(text, "net").unwrap().message, "net", SharedRandom::new(1)).unwrap();
        assert_eq!(batch(&net), Some(7));
    }
}
