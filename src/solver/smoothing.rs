//! The loss that log lines show: the mean of the last `average_loss` iterations, kept as Caffe keeps it.

/// A running mean over a window.
#[derive(Debug, Clone, Default)]
pub struct SmoothedLoss {
    window: usize,
    losses: Vec<f32>,
    value: f32,
}

impl SmoothedLoss {
    /// A mean over the last `window` losses.
    pub fn new(window: usize) -> Self {
        SmoothedLoss { window, losses: Vec::with_capacity(window), value: 0.0 }
    }

    /// The mean as a snapshot holds it, of at most `window` losses.
    pub fn restored(window: usize, losses: &[f32], value: f32) -> Self {
        SmoothedLoss { window, losses: losses.to_vec(), value }
    }

    /// The losses that the mean is of.
    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    /// Takes in the loss of the iteration that lies `since_start` iterations behind the start of the run.
    pub fn add(&mut self, loss: f32, since_start: usize) {
        if self.losses.len() < self.window {
            self.losses.push(loss);
            let count = self.losses.len() as f32;
            self.value = (self.value * (count - 1.0) + loss) / count;
        } else {
            let oldest = &mut self.losses[since_start % self.window];
            self.value += (loss - *oldest) / self.window as f32;
            *oldest = loss;
        }
    }

    /// The mean.
    pub fn value(&self) -> f32 {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_the_last_losses() {
        let mut smoothed = SmoothedLoss::new(3);
        let means: Vec<f32> = [3.0, 6.0, 9.0, 12.0, 0.0]
            .into_iter()
            .enumerate()
            .map(|(index, loss)| {
                smoothed.add(loss, index);
                smoothed.value()
            })
            .collect();
        assert_eq!(means, [3.0, 4.5, 6.0, 9.0, 7.0]);
    }
}
