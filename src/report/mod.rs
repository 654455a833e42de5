//! What a run shows: Caffe's log lines and numbers, the logger that prints them, the progress bar. And what stays of
//! it: [`metrics`] writes the numbers of every iteration, [`runs`] reads logs and metrics, [`chart`] draws them.

mod caffe_log;
pub mod chart;
pub mod confusion;
pub mod glog;
pub mod lines;
pub mod metrics;
pub mod progress;
pub mod runs;

pub use caffe_log::CaffeLog;
