//! What a run shows: Caffe's log lines and numbers, the logger that prints them, the progress bar. And what stays of
//! it: [`metrics`] writes the numbers of every iteration, [`runs`] reads logs and metrics, [`curves`] and [`chart`] draw them, [`page`]
//! shows them with all that is known of them.

mod caffe_log;
pub mod chart;
pub mod confusion;
pub mod curves;
pub mod glog;
pub mod lines;
pub mod metrics;
pub mod page;
pub mod progress;
pub mod runs;

pub use caffe_log::CaffeLog;
