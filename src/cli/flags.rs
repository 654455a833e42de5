//! Flags and kinds of values that several commands share.

use clap::{ArgAction, Args, ValueEnum};
use log::LevelFilter;

use crate::{error::Result, ops::threads, proto::Phase, report::glog};

/// Flags that every command takes.
#[derive(Args, Debug)]
pub struct Shared {
    /// CPU threads to use [default: all cores]; results do not depend on it
    #[arg(long, global = true, value_name = "N", display_order = 900)]
    pub threads: Option<usize>,
    /// Show warnings and errors only
    #[arg(long, short, global = true, display_order = 901)]
    pub quiet: bool,
    /// Hide lines below this severity: 0 info, 1 warning, 2 error
    #[arg(long, global = true, value_name = "N", default_value_t = 0, allow_negative_numbers = true, hide = true)]
    pub minloglevel: i32,
    /// Show lines for developers too: 1 debug, 2 trace
    #[arg(long, global = true, value_name = "N", default_value_t = 0, allow_negative_numbers = true, hide = true)]
    pub v: i32,
    /// Print the prefix of log lines: `--nolog_prefix` leaves it out
    #[arg(long, global = true, action = ArgAction::Set, default_value_t = true, hide = true,
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub log_prefix: bool,
    #[command(flatten)]
    glog: Glog,
}

/// Flags of glog that change nothing here: lines always go to stderr.
#[derive(Args, Debug)]
struct Glog {
    #[arg(long, global = true, hide = true)]
    logtostderr: bool,
    #[arg(long, global = true, hide = true)]
    alsologtostderr: bool,
    #[arg(long, global = true, hide = true)]
    colorlogtostderr: bool,
    #[arg(long, global = true, hide = true)]
    stop_logging_if_full_disk: bool,
    #[arg(long, global = true, hide = true)]
    stderrthreshold: Option<String>,
    #[arg(long, global = true, hide = true)]
    vmodule: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_dir: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_link: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_backtrace_at: Option<String>,
    #[arg(long, global = true, hide = true)]
    logbuflevel: Option<String>,
    #[arg(long, global = true, hide = true)]
    logbufsecs: Option<String>,
    #[arg(long, global = true, hide = true)]
    max_log_size: Option<String>,
}

impl Shared {
    /// What the flags ask of the logger.
    pub fn log_options(&self, expects_file: bool) -> glog::Options {
        let level = match (self.minloglevel, self.v) {
            (3.., _) => LevelFilter::Off,
            (2, _) => LevelFilter::Error,
            (1, _) => LevelFilter::Warn,
            (_, 2..) => LevelFilter::Trace,
            (_, 1) => LevelFilter::Debug,
            _ => LevelFilter::Info,
        };
        let stderr = if self.quiet { level.min(LevelFilter::Warn) } else { level };
        glog::Options { level, stderr, prefix: self.log_prefix, expects_file, module: None }
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// As [`threads::start`].
    pub fn start_threads(&self) -> Result<()> {
        threads::start(self.threads)
    }
}

/// The part of a net's state that flags give: Caffe's `-level` and `-stage`.
#[derive(Args, Debug, Clone)]
pub struct State {
    /// Level of the net, for layers with min_level or max_level
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub level: i32,
    /// Stages of the net, separated by commas, for layers with stage or not_stage [default: none]
    #[arg(long, value_name = "NAMES", default_value = "", hide_default_value = true)]
    pub stage: String,
}

impl State {
    /// The stages one by one. As in Caffe's tool no stage at all is one with an empty name.
    pub fn stages(&self) -> Vec<String> {
        self.stage.split(',').map(String::from).collect()
    }
}

/// A phase as Caffe's flags write it.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
#[value(rename_all = "UPPER")]
pub enum PhaseName {
    /// The net that is trained.
    Train,
    /// The net that is tested.
    Test,
}

impl From<PhaseName> for Phase {
    fn from(name: PhaseName) -> Self {
        match name {
            PhaseName::Train => Phase::Train,
            PhaseName::Test => Phase::Test,
        }
    }
}

/// What a signal does to a run.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalEffect {
    /// Snapshot and stop.
    Stop,
    /// Snapshot and go on.
    Snapshot,
    /// Nothing.
    None,
}
