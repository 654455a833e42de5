//! A thread that keeps batches ready, so that nobody waits for data.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{Builder, JoinHandle},
};

use crate::error::{Error, Result};

/// Batches that go round between a thread, which fills them, and a reader, which gives them back: none is made while they
/// run. Dropping it ends the thread.
#[derive(Debug)]
pub struct Prefetch<B> {
    ends: Option<Ends<B>>,
    thread: Option<JoinHandle<()>>,
}

/// The reader's ends of the two queues; the thread ends when they are gone.
#[derive(Debug)]
struct Ends<B> {
    empty: SyncSender<B>,
    full: Receiver<Result<B>>,
}

impl<B: Send + 'static> Prefetch<B> {
    /// Starts a thread that fills `batches` with `load`, in order, again and again. After an error it loads no more.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start(batches: Vec<B>, mut load: impl FnMut(&mut B) -> Result<()> + Send + 'static) -> Result<Self> {
        // Neither queue can be full: there are no more batches than places.
        let (empty, to_fill) = sync_channel::<B>(batches.len());
        let (done, full) = sync_channel(batches.len());
        for batch in batches {
            // The receiver stands two lines above.
            let _ = empty.send(batch);
        }
        let work = move || {
            while let Ok(mut batch) = to_fill.recv() {
                let loaded = load(&mut batch).map(|()| batch);
                let failed = loaded.is_err();
                if done.send(loaded).is_err() || failed {
                    break;
                }
            }
        };
        let thread = Builder::new().name("prefetch".into()).spawn(work);
        let thread = thread.map_err(|cause| Error::data("prefetch thread", format!("cannot be started: {cause}")))?;
        Ok(Prefetch { ends: Some(Ends { empty, full }), thread: Some(thread) })
    }

    /// Hands the next batch to `read`, waiting for it if it must, and then takes it back.
    ///
    /// # Errors
    /// When the batch could not be loaded, and then all later calls fail too; or when `read` fails.
    pub fn next(&self, read: impl FnOnce(&mut B) -> Result<()>) -> Result<()> {
        let ended = || Error::data("prefetch thread", "has ended; its error was reported before");
        let ends = self.ends.as_ref().ok_or_else(ended)?;
        let mut batch = ends.full.recv().map_err(|_| ended())??;
        let result = read(&mut batch);
        // The thread may have ended over a later batch: the reader learns of it when it comes to that batch.
        let _ = ends.empty.send(batch);
        result
    }
}

impl<B> Prefetch<B> {
    /// Ends the thread; the batches that it has filled are lost.
    pub fn stop(&mut self) {
        self.ends = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

impl<B> Drop for Prefetch<B> {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn batches_come_in_order_and_are_used_again() {
        let mut count = 0;
        let prefetch =
            Prefetch::start(vec![Vec::with_capacity(8), Vec::with_capacity(8)], move |batch: &mut Vec<i32>| {
                count += 1;
                batch.clear();
                batch.push(count);
                Ok(())
            });
        let prefetch = prefetch.unwrap();
        for expected in 1..20 {
            let check = |batch: &mut Vec<i32>| {
                assert_eq!((batch[0], batch.capacity()), (expected, 8));
                Ok(())
            };
            prefetch.next(check).unwrap();
        }
    }

    #[test]
    fn an_error_comes_after_the_batches_before_it() {
        let mut count = 0;
        let load = move |batch: &mut i32| {
            count += 1;
            *batch = count;
            if count == 3 { Err(Error::data("source", "third")) } else { Ok(()) }
        };
        let prefetch = Prefetch::start(vec![0; 4], load).unwrap();
        for expected in 1..3 {
            let check = |batch: &mut i32| {
                assert_eq!(*batch, expected);
                Ok(())
            };
            prefetch.next(check).unwrap();
        }
        assert_eq!(prefetch.next(|_| Ok(())).unwrap_err().to_string(), "source: third");
        assert!(prefetch.next(|_| Ok(())).unwrap_err().to_string().contains("has ended"));
    }

    #[test]
    fn it_loads_ahead_and_ends_with_its_reader() {
        let loaded = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&loaded);
        let load = move |_: &mut ()| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let prefetch = Prefetch::start(vec![(); 3], load).unwrap();
        while loaded.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        drop(prefetch);
        // The thread held the other handle.
        assert_eq!(Arc::strong_count(&loaded), 1);
    }
}
