//! What the layers share that load batches ahead of the net: tops of images and labels, filled by a thread.
//!
//! | option (`data_param`) | default | meaning |
//! |---|---|---|
//! | `prefetch` | 4 | batches that a thread keeps ready, 1 to 1,000 |
//!
//! The option stands in `data_param` for every one of these layers, as in Caffe.

use log::info;

use super::Io;
use crate::{
    data::{batch::Batch, prefetch::Prefetch},
    error::{Error, Result},
    proto::LayerParameter,
    tensor::{Room, Shape},
};

/// More batches than this are memory wasted.
const MOST_BATCHES: u32 = 1_000;

/// Batches on their way to the tops.
pub struct Batches {
    prefetch: Prefetch<Batch>,
    /// The shape of the first batch; each later one brings its own.
    shape: [usize; 4],
}

/// How many batches the option asks for.
///
/// # Errors
/// When they are none, or too many.
pub fn check_prefetch(layer: &LayerParameter) -> Result<usize> {
    let prefetch = layer.data_param.clone().unwrap_or_default().prefetch();
    if !(1..=MOST_BATCHES).contains(&prefetch) {
        return Err(Error::config("data_param.prefetch", format!("must be from 1 to {MOST_BATCHES}")));
    }
    Ok(prefetch as usize)
}

/// Checks that there is room for a batch; `field` gives its size. Logs the shape, as Caffe does.
///
/// # Errors
/// When there is none.
pub fn check_shape(room: Room, shape: [usize; 4], field: &str) -> Result<()> {
    room.check(&Shape::from(shape)).map_err(|why| Error::config(field, why))?;
    let [n, c, h, w] = shape;
    info!("output data size: {n},{c},{h},{w}");
    Ok(())
}

impl Batches {
    /// Starts to load: `count` batches ahead, the first of this shape.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start(
        shape: [usize; 4],
        count: usize,
        load: impl FnMut(&mut Batch) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        Ok(Batches { prefetch: Prefetch::start(vec![Batch::default(); count], load)?, shape })
    }

    /// Gives the tops the shape of the first batch, unless a batch is there.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn reshape(&self, io: &mut Io<'_>) -> Result<()> {
        // A reshape that another layer asked for must not undo the shape of the batch that is there.
        if io.top(0).shape().axes() != 4 {
            set_shapes(io, self.shape)?;
        }
        Ok(())
    }

    /// Brings the next batch to the tops.
    ///
    /// # Errors
    /// When it could not be loaded.
    pub fn forward(&self, io: &mut Io<'_>) -> Result<()> {
        self.prefetch.next(|batch| {
            set_shapes(io, batch.shape)?;
            io.top(0).data().host_mut().copy_from_slice(&batch.images);
            if io.tops.len() > 1 {
                io.top(1).data().host_mut().copy_from_slice(&batch.labels);
            }
            Ok(())
        })
    }
}

fn set_shapes(io: &mut Io<'_>, shape: [usize; 4]) -> Result<()> {
    io.set_top_shape(0, &Shape::from(shape))?;
    if io.tops.len() > 1 {
        io.set_top_shape(1, &Shape::from([shape[0]]))?;
    }
    Ok(())
}
