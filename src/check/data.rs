//! Data of a net: files that are not there, shapes without them, sizes of sets.

use std::path::Path;

use super::{Options, Report, Severity};
use crate::{
    data::{extent::extent, paths, synthetic},
    net::{filter, place_of},
    proto::{BlobShape, InputParameter, LayerParameter, SolverParameter},
    prototxt::{Document, number::general},
    solver::Description,
};

/// The option that names a layer's data, and the name.
fn source(layer: &LayerParameter) -> Option<(&'static str, &str)> {
    Some(match layer.r#type() {
        "Data" => ("data_param.source", layer.data_param.as_ref()?.source()),
        "ImageData" => ("image_data_param.source", layer.image_data_param.as_ref()?.source()),
        "HDF5Data" => ("hdf5_data_param.source", layer.hdf5_data_param.as_ref()?.source()),
        "WindowData" => ("window_data_param.source", layer.window_data_param.as_ref()?.source()),
        _ => return None,
    })
}

fn mean_file(layer: &LayerParameter) -> Option<&str> {
    layer.transform_param.as_ref().and_then(|transform| transform.mean_file.as_deref())
}

fn exists(name: &str, file: &str) -> bool {
    name.starts_with(synthetic::PREFIX) || paths::resolve(name, Path::new(file).parent()).exists()
}

/// Whether everything that a layer reads is on this machine.
pub(super) fn is_there(layer: &LayerParameter, file: &str) -> bool {
    let names = source(layer).map(|(_, name)| name).into_iter().chain(mean_file(layer));
    names.filter(|name| !name.is_empty()).all(|name| exists(name, file))
}

/// Reports data sets and mean files that are not there.
pub(super) fn files(described: &Description, options: Options, report: &mut Report) {
    if options.without_data {
        return;
    }
    let Ok(net) = filter(&described.message, &described.file) else { return };
    for layer in &net.layer {
        let place = place_of(layer, &described.file);
        if let Some((field, name)) =
            source(layer).filter(|(_, name)| !name.is_empty() && !exists(name, &described.file))
        {
            report.add(Severity::Error, format_args!("{place}{field}: {}", paths::missing(name)));
        }
        if let Some(name) = mean_file(layer).filter(|name| !exists(name, &described.file)) {
            report.add(Severity::Error, format_args!("{place}transform_param.mean_file: {}", paths::missing(name)));
        }
    }
}

/// A layer in the place of one whose files are not there, for its shape: without the mean where that is all that is missing,
/// otherwise an Input, where the data set's name or the crop tells its shape.
pub(super) fn stand_in(layer: &LayerParameter, file: &str) -> Option<LayerParameter> {
    let (_, name) = source(layer)?;
    let mean_is_missing = mean_file(layer).is_some_and(|name| !exists(name, file));
    if mean_is_missing && exists(name, file) {
        let mut layer = layer.clone();
        layer.transform_param.get_or_insert_default().mean_file = None;
        return Some(layer);
    }
    if layer.r#type() == "HDF5Data" {
        return None;
    }
    let batch = extent(layer, Path::new(file).parent())?.batch;
    let transform = layer.transform_param.clone().unwrap_or_default();
    let lower = name.to_lowercase();
    let known =
        [("cifar", [3, 32, 32]), ("mnist", [1, 28, 28]), ("ilsvrc", [3, 256, 256]), ("imagenet", [3, 256, 256])];
    let known = known.into_iter().find(|(set, _)| lower.contains(set)).map(|(_, shape)| shape);
    let [channels, height, width] = match (known, i64::from(transform.crop_size())) {
        (Some([channels, ..]), crop @ 1..) => [channels, crop, crop],
        (Some(shape), _) => shape,
        (None, crop @ 1..) => [if transform.force_gray() { 1 } else { 3 }, crop, crop],
        (None, _) => return None,
    };
    let images = BlobShape { dim: vec![batch as i64, channels, height, width] };
    let mut shapes = vec![images];
    shapes.resize(layer.top.len().max(1), BlobShape { dim: vec![batch as i64] });
    Some(LayerParameter {
        r#type: Some("Input".into()),
        input_param: Some(InputParameter { shape: shapes }),
        data_param: None,
        image_data_param: None,
        window_data_param: None,
        transform_param: None,
        ..layer.clone()
    })
}

/// Compares what a test pass takes with what the test set has.
pub(super) fn test_set(
    described: &Description,
    batches: usize,
    solver: &Document<SolverParameter>,
    report: &mut Report,
) {
    let Ok(net) = filter(&described.message, &described.file) else { return };
    let base = Path::new(&described.file).parent();
    let Some(extent) = net.layer.iter().find_map(|layer| extent(layer, base)) else { return };
    let Ok(Some(images)) = extent.images else { return };
    let (taken, source) = (batches * extent.batch, &extent.source);
    if images == 0 || extent.batch == 0 {
        return;
    }
    report
        .facts
        .push(format!("a test takes {taken} of {images} images of {source}: {batches} batches of {}", extent.batch));
    let place = solver.locations.place("test_iter");
    let whole = images.div_ceil(extent.batch);
    if taken > images && batches > whole {
        let times = general(taken as f64 / images as f64, 3);
        report.warn(&place, format_args!("test_iter: a test goes through {source} {times} times: {whole} is once"));
    } else if taken > images {
        let twice = taken - images;
        report.note(
            &place,
            format_args!("test_iter: {twice} images of {source} are tested twice: the batch does not divide {images}"),
        );
    } else if taken < images {
        report.note(
            &place,
            format_args!("test_iter: a test sees {taken} of {images} images of {source}: {whole} is all of them"),
        );
    }
}
