//! What each blob occupies.

use log::info;

use crate::net::Net;

/// Lists the blobs; views of another blob occupy nothing.
pub fn print(net: &Net) {
    let blobs = net.memory();
    info!("Memory per blob: ");
    for blob in &blobs {
        let (data, diff) = (kibibytes(blob.data_bytes), kibibytes(blob.diff_bytes));
        info!("{:>10}\tdata: {data:.1} KiB, diff: {diff:.1} KiB ({})", blob.name, blob.shape);
    }
    let blobs: usize = blobs.iter().map(|blob| blob.data_bytes + blob.diff_bytes).sum();
    let parameters = (net.parameters().data().len() + net.parameters().diff().len()) * size_of::<f32>();
    info!("Memory in all: {:.1} KiB of blobs, {:.1} KiB of parameters", kibibytes(blobs), kibibytes(parameters));
}

fn kibibytes(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}
