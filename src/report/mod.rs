//! What a run shows: Caffe's log lines and numbers, the logger that prints them, the progress bar.

mod caffe_log;
pub mod glog;
pub mod lines;
pub mod progress;

pub use caffe_log::CaffeLog;
