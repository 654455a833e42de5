//! What the layers share that load batches ahead of the net: tops of images and labels, filled by a thread.
//!
//! | option (`data_param`) | default | meaning |
//! |---|---|---|
//! | `prefetch` | 4 | batches that a thread keeps ready, 1 to 1,000 |
//!
//! The option stands in `data_param` for every one of these layers, as in Caffe.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::info;

use super::Io;
use crate::{
    data::{
        batch::{Batch, Load},
        on_card::Area,
        prefetch::Prefetch,
    },
    error::{Error, Result},
    proto::{LayerParameter, LayerState},
    tensor::{Room, Shape},
};

/// Why a layer that runs has its batches.
pub const SET_UP: &str = "a layer is set up before it is reshaped or run";

/// More batches than this are memory wasted.
const MOST_BATCHES: u32 = 1_000;

/// Batches on their way to the tops.
pub struct Batches {
    /// The thread holds the loader while it fills a batch.
    loader: Arc<Mutex<Box<dyn Load>>>,
    prefetch: Prefetch<Batch>,
    count: usize,
    /// The shape of the first batch; each later one brings its own.
    shape: [usize; 4],
    /// Where the loader stood behind the batch that was used last: it is ahead of that.
    state: LayerState,
    /// Where a card makes batches; asked for once.
    area: Option<Option<Area>>,
}

/// The part of a card's memory that the records of one layer may take.
const PART: usize = 4;

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
    pub fn start(shape: [usize; 4], count: usize, loader: Box<dyn Load>) -> Result<Self> {
        let mut state = LayerState::default();
        loader.save(&mut state);
        let loader = Arc::new(Mutex::new(loader));
        let prefetch = prefetch(&loader, count)?;
        Ok(Batches { loader, prefetch, count, shape, state, area: None })
    }

    /// Where the loader stood behind the batch that was used last.
    pub fn state(&self) -> LayerState {
        self.state.clone()
    }

    /// Goes on behind the batch that was used last when the state was saved. If that cannot be, everything stays as it is.
    ///
    /// # Errors
    /// When the state is one of other data.
    pub fn restore(&mut self, state: &LayerState) -> Result<()> {
        // The thread ends before the loader is moved, and the batches that it has filled are thrown away.
        self.prefetch.stop();
        let mut loader = lock(&self.loader);
        let restored = loader.restore(state).or_else(|error| loader.restore(&self.state).and(Err(error)));
        loader.save(&mut self.state);
        drop(loader);
        self.prefetch = prefetch(&self.loader, self.count)?;
        restored
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
    pub fn load(&mut self, io: &mut Io<'_>) -> Result<()> {
        if let (Some(card), None) = (io.device().card(), &self.area) {
            let room = card.properties().memory / PART;
            self.area = Some(lock(&self.loader).for_card(room).map(|transform| Area::new(card, transform)));
        }
        let Batches { prefetch, state, area, .. } = self;
        prefetch.next(|batch| {
            (0..batch.restarts).for_each(|_| info!("Restarting data prefetching from start."));
            std::mem::swap(state, &mut batch.state);
            set_shapes(io, batch.shape)?;
            if let (true, Some(Some(area))) = (batch.raw.is_used(), area) {
                area.fill(batch, io.top(0).data(), (io.tops.len() > 1).then(|| io.top(1).data()));
                return Ok(());
            }
            io.top(0).data().host_anew().copy_from_slice(&batch.images);
            if io.tops.len() > 1 {
                io.top(1).data().host_anew().copy_from_slice(&batch.labels);
            }
            Ok(())
        })
    }
}

fn prefetch(loader: &Arc<Mutex<Box<dyn Load>>>, count: usize) -> Result<Prefetch<Batch>> {
    let loader = Arc::clone(loader);
    Prefetch::start(vec![Batch::default(); count], move |batch: &mut Batch| {
        let mut loader = lock(&loader);
        loader.load(batch)?;
        loader.save(&mut batch.state);
        Ok(())
    })
}

fn lock(loader: &Mutex<Box<dyn Load>>) -> MutexGuard<'_, Box<dyn Load>> {
    loader.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_shapes(io: &mut Io<'_>, shape: [usize; 4]) -> Result<()> {
    io.set_top_shape(0, &Shape::from(shape))?;
    if io.tops.len() > 1 {
        io.set_top_shape(1, &Shape::from([shape[0]]))?;
    }
    Ok(())
}
