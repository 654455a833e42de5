//! Batch normalisation that runs and does not do what was meant.

use super::Report;
use crate::{
    net::{filter, place_of},
    proto::{LayerParameter, Phase},
    solver::Description,
};

/// Looks at the BatchNorm layers of a net; `end` is the iteration at which training ends.
pub(super) fn check(described: &Description, end: Option<usize>, report: &mut Report) {
    let Ok(net) = filter(&described.message, &described.file) else { return };
    let phase = net.state.as_ref().map_or(Phase::Test, |state| state.phase());
    for (index, layer) in net.layer.iter().enumerate().filter(|(_, layer)| layer.r#type() == "BatchNorm") {
        let place = place_of(layer, &described.file);
        let options = layer.batch_norm_param.unwrap_or_default();
        let field = "batch_norm_param.use_global_stats";
        match (options.use_global_stats, phase) {
            (Some(true), Phase::Train) => report.warn(
                &place,
                format_args!(
                    "{field}: true while training: the averages are never updated, those of fresh weights are 0; leave it out, \
                     unless the weights come from a trained net and are to keep theirs"
                ),
            ),
            (Some(false), Phase::Test) => report.warn(
                &place,
                format_args!("{field}: false while testing: scores depend on the batch; leave it out for the averages"),
            ),
            _ => {}
        }
        let fraction = options.moving_average_fraction();
        let memory = 1.0 / (1.0 - f64::from(fraction)).max(f64::EPSILON);
        if phase == Phase::Train && end.is_some_and(|end| memory > end as f64) {
            let text = format!(
                "batch_norm_param.moving_average_fraction: {fraction} averages over about {memory:.0} iterations, more than the \
                 {} of the run: tests use averages of early weights; lower it",
                end.unwrap_or_default()
            );
            report.warn(&place, text);
        }
        if phase == Phase::Train && !feeds_scale(&net.layer, index) {
            report.note(
                &place,
                "no Scale layer follows: the values stay at mean 0 and variance 1, with nothing learnt there",
            );
        }
    }
}

/// Whether the first layer that reads this one's top is a Scale.
fn feeds_scale(layers: &[LayerParameter], index: usize) -> bool {
    let Some(top) = layers[index].top.first() else { return false };
    let reader = layers[index + 1..].iter().find(|layer| layer.bottom.contains(top));
    reader.is_some_and(|layer| layer.r#type() == "Scale")
}
