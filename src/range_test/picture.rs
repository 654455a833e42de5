//! The picture of a range test: accuracy and loss over the rate, raw and smoothed, with the bounds.

use super::{Curve, Ramp, RangeTest, suggest::Better};
use crate::{
    prototxt::number::general,
    report::chart::{Axis, Band, Chart, Look, Mark, Series},
};

impl RangeTest {
    /// The curves over the learning rate, that of an exponential ramp on a logarithmic axis, and the suggested bounds as marks.
    pub fn chart(&self, title: &str, ramp: Ramp) -> Chart {
        let label = "learning rate";
        let x = if ramp == Ramp::Linear { Axis::linear(label) } else { Axis::log(label) };
        let (metric, better) = self.metric_curve();
        let loss = self.loss_curve();
        let loss_axis = {
            let axis = Axis::linear("training loss");
            // Where the loss explodes, the curve leaves the picture instead of flattening all that came before.
            let low = loss.smooth.iter().copied().fold(f64::INFINITY, f64::min);
            match loss.smooth.first() {
                Some(&first) if first > low => {
                    axis.within((low - 0.1 * (first - low)).max(0.0), first + 0.2 * (first - low))
                }
                _ => axis,
            }
        };
        let mut chart;
        if better == Better::Larger {
            chart = Chart::new(x, Axis::linear("test accuracy"));
            chart.right = Some(loss_axis);
            chart.series = curves("test accuracy", &metric);
            chart.series.push(Series::new("training loss, smoothed", loss.smooth_points()).right().hue(1));
        } else {
            chart = Chart::new(x, loss_axis);
            chart.series = curves("training loss", &metric);
        }
        chart.title = title.to_owned();
        if let Ok(bounds) = self.bounds() {
            let marks = [("base_lr", bounds.base_lr), ("max_lr", bounds.max_lr)];
            chart.marks = marks.map(|(name, x)| Mark { x, label: format!("{name} {}", general(x, 2)) }).into();
            chart.bands = vec![Band { from: bounds.base_lr, to: bounds.max_lr, label: String::new() }];
        }
        chart
    }
}

/// What was measured, pale, and the smoothed line on it.
fn curves(name: &str, curve: &Curve) -> Vec<Series> {
    let raw = Series::new("", curve.raw_points()).look(Look::Faint).hue(0);
    vec![raw, Series::new(format!("{name}, smoothed"), curve.smooth_points()).hue(0)]
}
