//! Integration tests: what a user of the program and of the library sees.

mod cli;
mod compare;
mod coverage;
mod data;
mod detection;
mod documents;
mod errors;
mod files;
mod fuzz;
mod golden;
#[cfg(target_os = "linux")]
mod gpu;
mod interruption;
mod metrics;
mod pictures;
mod program;
mod rates;
mod resume;
mod runs;
mod schedules;
mod snapshots;
mod traces;
mod train;
