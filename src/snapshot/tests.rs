//! Snapshots of Caffe read; snapshots written and read; damage.

use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::tempdir;

use super::*;
use crate::{
    proto::{BlobProto, BlobShape, LayerParameter},
    tensor::Shape,
};

fn golden(kind: &str, file: &str) -> PathBuf {
    Path::new("tests/golden/snapshots").join(kind).join(file)
}

fn layer<'a>(net: &'a NetParameter, name: &str) -> &'a LayerParameter {
    net.layer.iter().find(|layer| layer.name() == name).unwrap()
}

#[test]
fn both_formats_of_caffe_hold_the_same() {
    let binary = read_weights(&golden("sgd_binaryproto", "snap_iter_50.caffemodel")).unwrap();
    let hdf5 = read_weights(&golden("sgd_hdf5", "snap_iter_50.caffemodel.h5")).unwrap();
    assert_eq!(binary.layer.len(), hdf5.layer.len());
    for one in &binary.layer {
        assert_eq!(one.blobs, layer(&hdf5, one.name()).blobs, "{}", one.name());
    }
    assert_eq!(layer(&hdf5, "conv1").blobs[0].dims(), Shape::from([8, 3, 5, 5]));
    let binary = read_state(&golden("sgd_binaryproto", "snap_iter_50.solverstate")).unwrap();
    let hdf5 = read_state(&golden("sgd_hdf5", "snap_iter_50.solverstate.h5")).unwrap();
    assert_eq!(hdf5.learned_net(), "snap_iter_50.caffemodel.h5");
    assert_eq!(SolverState { learned_net: binary.learned_net.clone(), ..hdf5 }, binary);
    assert_eq!((binary.iter(), binary.history.len(), binary.run), (50, 4, None));
}

#[test]
fn rules_with_two_histories_are_read() {
    for kind in ["adam_binaryproto", "adadelta_binaryproto"] {
        let state = read_state(&golden(kind, "snap_iter_50.solverstate")).unwrap();
        assert_eq!((state.iter(), state.history.len()), (50, 8), "{kind}");
    }
}

fn blob(dims: &[i64], values: &[f32]) -> BlobProto {
    BlobProto { shape: Some(BlobShape { dim: dims.to_vec() }), data: values.to_vec(), ..BlobProto::default() }
}

/// A net as [`to_message_of_owned`](crate::net::Net::to_message_of_owned) has it: one parameter is another's.
fn sample() -> (NetParameter, SolverState) {
    let layer = |name: &str, blobs: Vec<BlobProto>| LayerParameter {
        name: Some(name.into()),
        blobs,
        ..LayerParameter::default()
    };
    let shared = BlobProto { data: Vec::new(), diff: vec![3.0; 4], ..blob(&[2, 2], &[]) };
    let net = NetParameter {
        layer: vec![
            layer("a/b", vec![blob(&[2, 2], &[1.0, -2.0, f32::MIN_POSITIVE, 1e30]), blob(&[1], &[7.0])]),
            layer("a/c", vec![shared, blob(&[1], &[f32::INFINITY])]),
            layer("relu", vec![]),
        ],
        ..NetParameter::default()
    };
    let state = SolverState {
        iter: Some(7),
        learned_net: Some("x.caffemodel".into()),
        history: (0..12).map(|index| blob(&[1, 2], &[index as f32, 0.5])).collect(),
        current_step: Some(3),
        run: Some(RunState { random: vec![1, u32::MAX], ..RunState::default() }),
    };
    (net, state)
}

fn write(folder: &Path, format: SnapshotFormat) -> [PathBuf; 2] {
    let (net, state) = sample();
    let [weights, state_path] = ["w", "s"].map(|name| folder.join(name));
    StagedWeights::write(&net, &weights, format).unwrap().commit_with(state, &state_path, format).unwrap();
    [weights, state_path]
}

#[test]
fn what_is_written_is_read() {
    let folder = tempdir().unwrap();
    for format in [SnapshotFormat::Binaryproto, SnapshotFormat::Hdf5] {
        let [weights, state] = write(folder.path(), format);
        let (net, expected) = sample();
        let found = read_weights(&weights).unwrap();
        for layer_written in &net.layer {
            let values = |layer: &LayerParameter| -> Vec<_> {
                layer
                    .blobs
                    .iter()
                    .map(|blob| (blob.data.clone(), blob.data.len().min(1) * blob.dims().count()))
                    .collect()
            };
            assert_eq!(values(layer(&found, layer_written.name())), values(layer_written));
        }
        let mut found = read_state(&state).unwrap();
        let run = found.run.as_mut().unwrap();
        assert_eq!(run.weights_checksum.take(), Some(checksum(&weights).unwrap()));
        assert_eq!(found, expected);
    }
}

#[test]
fn a_file_of_another_kind_is_named() {
    let folder = tempdir().unwrap();
    let [weights, state] = write(folder.path(), SnapshotFormat::Hdf5);
    let error = read_weights(&state).unwrap_err().to_string();
    assert!(error.ends_with("s: holds no group \"data\"; is this a .caffemodel.h5?"), "{error}");
    let error = read_state(&weights).unwrap_err().to_string();
    assert!(error.ends_with("w: holds no iteration and history; is this a .solverstate.h5?"), "{error}");
    let error = read_state(&golden("sgd_binaryproto", "snap_iter_50.caffemodel")).unwrap_err().to_string();
    assert!(error.contains("snap_iter_50.caffemodel: "), "{error}");
    fs::write(&weights, "").unwrap();
    assert!(read_weights(&weights).unwrap_err().to_string().ends_with("w: holds no layers; is this a .caffemodel?"));
}

#[test]
fn files_beyond_2_gb_are_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("huge.caffemodel");
    // Holes take no room on the disk.
    fs::File::create(&path).unwrap().set_len(1 << 31).unwrap();
    let error = read_weights(&path).unwrap_err().to_string();
    assert!(error.contains("huge.caffemodel: 2.1 GB are more than the 2 GB"), "{error}");
}

/// Damage: bytes flipped in places, then the file cut to a part of its length.
fn damage() -> impl Strategy<Value = (Vec<(f64, u8)>, f64)> {
    let flips = prop::collection::vec((0.0..1.0, 1..=255_u8), 0..4);
    (flips, prop_oneof![Just(1.0), 0.0..1.0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Values may differ then; what counts is that reading ends, with an error or without.
    #[test]
    fn damage_ends_in_an_error_or_in_values((flips, part) in damage(), file in 0..4_usize) {
        let path = match file {
            0 => golden("sgd_binaryproto", "snap_iter_50.caffemodel"),
            1 => golden("sgd_binaryproto", "snap_iter_50.solverstate"),
            2 => golden("sgd_hdf5", "snap_iter_50.caffemodel.h5"),
            _ => golden("sgd_hdf5", "snap_iter_50.solverstate.h5"),
        };
        let mut bytes = fs::read(path).unwrap();
        for (place, flip) in flips {
            let place = (bytes.len() as f64 * place) as usize;
            bytes[place] ^= flip;
        }
        let whole = bytes.len();
        bytes.truncate((whole as f64 * part) as usize);
        let folder = tempdir().unwrap();
        let path = folder.path().join("damaged");
        fs::write(&path, &bytes).unwrap();
        let _ = read_weights(&path);
        let _ = read_state(&path);
    }

    /// Protobuf knows no end of its own: a binary file that is cut just between two layers reads as a shorter net. A state finds
    /// that out by the checksum of its weights.
    #[test]
    fn a_file_cut_short_is_refused_or_ends_between_two_layers(part in 0.02..0.999) {
        for (kind, file) in [("sgd_binaryproto", "snap_iter_50.caffemodel"), ("sgd_hdf5", "snap_iter_50.caffemodel.h5")] {
            let whole = golden(kind, file);
            let bytes = fs::read(&whole).unwrap();
            let folder = tempdir().unwrap();
            let path = folder.path().join("cut");
            fs::write(&path, &bytes[..(bytes.len() as f64 * part) as usize]).unwrap();
            match read_weights(&path) {
                Err(error) => prop_assert!(error.to_string().contains("cut: "), "{file}: {error}"),
                Ok(net) => {
                    let layers = read_weights(&whole).unwrap().layer;
                    let is_beginning = layers.starts_with(&net.layer) && net.layer.len() < layers.len();
                    prop_assert!(is_beginning && kind == "sgd_binaryproto", "{file}");
                    prop_assert!(checksum(&path).unwrap() != checksum(&whole).unwrap());
                }
            }
        }
    }
}
