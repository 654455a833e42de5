//! Builds a net behind errors: a layer that cannot be is reported and left out with all that depend on it, and the rest is
//! built again.

use std::collections::HashSet;

use super::{Options, Report, data};
use crate::{
    error::Error,
    layers::layer_type,
    net::{Net, filter, place_of},
    proto::{LayerParameter, NetParameter},
    rng::SharedRandom,
    solver::Description,
};

/// More layers at fault than this are not looked for.
const MOST: usize = 50;

/// Reports every layer that cannot be built. The net, if all of it can; with a data set that is not there, for shapes alone.
pub(super) fn survey(described: &Description, options: Options, report: &mut Report) -> Option<Net> {
    let file = &described.file;
    let mut message = match filter(&described.message, file) {
        Ok(message) => message,
        Err(error) => {
            report.error(&error);
            return None;
        }
    };
    for layer in &mut message.layer {
        (layer.include, layer.exclude) = (Vec::new(), Vec::new());
    }
    let mut removed = HashSet::new();
    let mut missing = false;
    for _ in 0..MOST {
        if message.layer.is_empty() {
            return None;
        }
        let error = match Net::new(&message, file, SharedRandom::new(1)) {
            Ok(net) => return removed.is_empty().then_some(net),
            Err(error) => error,
        };
        let found =
            error.place().and_then(|place| message.layer.iter().position(|layer| place_of(layer, file) == *place));
        let Some(index) = found else {
            report.error(&error);
            return None;
        };
        let is_data = matches!(error, Error::Data { .. } | Error::Io { .. });
        if is_data && let Some(stand_in) = data::stand_in(&message.layer[index], file) {
            // What is not there was reported by its name; what is there and cannot be read is this error.
            if data::is_there(&message.layer[index], file) {
                report.error(&error);
            }
            message.layer[index] = stand_in;
            missing = true;
            continue;
        }
        let is_reported = is_data && !data::is_there(&message.layer[index], file);
        if !is_reported {
            report.error(&error);
        }
        missing |= is_reported && options.without_data;
        let layer = message.layer.remove(index);
        removed.extend(layer.top);
        remove_dependents(&mut message, file, &mut removed, report);
    }
    if missing {
        report.facts.push(format!("{file}: shapes behind data that is not there were not checked"));
    }
    None
}

/// Leaves out the layers that read what is not made any more; their options are checked by themselves.
fn remove_dependents(message: &mut NetParameter, file: &str, removed: &mut HashSet<String>, report: &mut Report) {
    let mut made: HashSet<String> = HashSet::new();
    let mut kept: Vec<LayerParameter> = Vec::new();
    for layer in std::mem::take(&mut message.layer) {
        let is_gone = |bottom: &String| !made.contains(bottom) && removed.contains(bottom);
        if layer.bottom.iter().any(is_gone) {
            let made = layer_type(layer.r#type()).and_then(|row| (row.new)(&layer));
            if let Err(error) = made {
                report.error(&error.at(&place_of(&layer, file)));
            }
            removed.extend(layer.top.iter().filter(|top| !layer.bottom.contains(top)).cloned());
        } else {
            made.extend(layer.top.iter().cloned());
            kept.push(layer);
        }
    }
    message.layer = kept;
}
