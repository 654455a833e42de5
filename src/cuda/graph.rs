//! Captured graphs: work that was recorded once and is given to the card again with one call.

use cudarc::driver::{result, sys};

use super::Card;

/// Recorded launches and copies, with the addresses that they had: it is good as long as that memory stays where it is.
#[derive(Debug)]
pub struct Graph {
    card: &'static Card,
    graph: sys::CUgraphExec,
    /// How many launches were recorded.
    pub launches: u64,
}

// SAFETY: a graph belongs to the context, not to a thread; only one thread at a time has the `Graph`.
unsafe impl Send for Graph {}

impl Card {
    /// Records the work instead of doing it. `None` when something failed: the failure is with the card.
    pub fn capture(&'static self, work: impl FnOnce()) -> Option<Graph> {
        let before = self.counters().launches;
        self.attempt("cuStreamBeginCapture", || {
            // SAFETY: the stream is the card's and alive.
            unsafe {
                result::stream::begin_capture(
                    self.stream(),
                    sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
                )
            }
        })?;
        self.set_capturing(true);
        work();
        self.set_capturing(false);
        let launches = self.counters().launches - before;
        // SAFETY: the capture of this stream was begun above; it must end even when something in it failed.
        let ended = unsafe { result::stream::end_capture(self.stream()) };
        let recorded = self.attempt("cuStreamEndCapture", || ended)?;
        let graph = self.attempt("cuGraphInstantiate", || {
            // SAFETY: the graph was recorded just now.
            unsafe { result::graph::instantiate(recorded, sys::CUgraphInstantiate_flags(0)) }
        });
        // SAFETY: the recorded graph is alive; what was made of it stands for itself.
        let _ = unsafe { result::graph::destroy(recorded) };
        Some(Graph { card: self, graph: graph?, launches })
    }
}

impl Graph {
    /// Does the work once more.
    pub fn replay(&self) {
        self.card.count_launches(self.launches);
        self.card.attempt("cuGraphLaunch", || {
            // SAFETY: graph and stream are alive; whoever keeps the graph keeps its memory where it was.
            unsafe { result::graph::launch(self.graph, self.card.stream()) }
        });
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.card.synchronize();
        // SAFETY: the graph is alive, and the card has done all that was given to it.
        let _ = unsafe { result::graph::exec_destroy(self.graph) };
    }
}
