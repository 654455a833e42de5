//! What a run shows: Caffe's log lines and numbers, the logger that prints them, the progress bar. And what it showed: [`runs`] reads
//! logs and metrics files, [`chart`] draws them.

mod caffe_log;
pub mod chart;
pub mod confusion;
pub mod glog;
pub mod lines;
pub mod metrics;
pub mod progress;
pub mod runs;

pub use caffe_log::CaffeLog;
