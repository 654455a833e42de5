//! The command line: one file per command, and what they share.
//!
//! A command is a file with an `Args` struct, which is also its help, and `run(&Args) -> Result<()>`.

pub mod check;
pub mod compare;
pub mod data;
pub mod device;
pub mod devices;
pub mod dump;
pub mod flags;
pub mod gflags;
pub mod layers;
pub mod lr_find;
mod model;
pub mod output;
pub mod parse_log;
pub mod plot;
pub mod report;
mod runs;
pub mod schedule;
pub mod selftest;
mod signals;
pub mod test;
pub mod time;
pub mod trace;
pub mod train;

use std::{
    error::Error as _,
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    error::{Error, Result},
    ops::threads,
    report::glog,
};

/// Trains and tests Caffe networks from their own prototxt files.
#[derive(Parser, Debug)]
#[command(name = "rcaffe", version, args_override_self = true, arg_required_else_help = true, after_help = EXAMPLES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    shared: flags::Shared,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe train --solver solvers/cifar10_triangular2.prototxt
  rcaffe train --quick-start
  rcaffe test --model models/lenet.prototxt --weights lenet_iter_10000.caffemodel --iterations 100

Caffe's spelling works too: one dash or two, `=` or a blank, flags before or after the command.";

#[derive(Subcommand, Debug)]
enum Command {
    Train(train::Args),
    Test(test::Args),
    Time(time::Args),
    Trace(trace::Args),
    Data(data::Args),
    Dump(dump::Args),
    Layers(layers::Args),
    Devices(devices::Args),
    Schedule(schedule::Args),
    ParseLog(parse_log::Args),
    LrFind(lr_find::Args),
    Check(check::Args),
    Compare(compare::Args),
    Plot(plot::Args),
    Report(report::Args),
    Selftest(selftest::Args),
}

impl Command {
    /// The module whose lines a command shows, where those of the nets it builds are beside the point.
    fn module(&self) -> Option<&'static str> {
        match self {
            Command::Schedule(_) => Some("rcaffe::solver::schedule"),
            Command::Check(_) => Some("rcaffe::check"),
            Command::LrFind(_) => Some("rcaffe::range_test"),
            Command::Selftest(_) => Some("rcaffe::selftest"),
            _ => None,
        }
    }
}

/// Runs the program with these arguments, the program's name first. Errors go to stderr as one line, `error: ...`.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse(args) {
        Parsed::Help(text) => done(output::text(&text)),
        Parsed::Usage(message) => fail(&message),
        Parsed::Run(line, ignored) => done(run(&line, &ignored)),
    }
}

enum Parsed {
    /// Help or version was asked for.
    Help(String),
    /// The arguments are wrong.
    Usage(String),
    /// What to run, and the flags that the command does not use.
    Run(Box<CommandLine>, Vec<String>),
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Parsed {
    let mut command = CommandLine::command();
    // Adds --help and --version, so that their spelling can be translated too.
    command.build();
    let translated = gflags::translate(args.into_iter().collect(), &command);
    let line = command.try_get_matches_from(&translated.args).and_then(|found| CommandLine::from_arg_matches(&found));
    match line {
        Ok(line) => Parsed::Run(Box::new(line), translated.ignored),
        Err(error) if error.use_stderr() => Parsed::Usage(usage_line(&error)),
        Err(help) => Parsed::Help(format!("{}\n", help.to_string().trim_end())),
    }
}

/// Clap's message as one line: what is wrong and its tips, without the usage text.
fn usage_line(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command given; `rcaffe --help` lists the commands, `rcaffe train --help` their flags".into();
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let parts: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information")).collect();
    parts.join("; ").trim_start_matches("error: ").replace(":; ", ": ").replace("; [", " [")
}

fn run(line: &CommandLine, ignored: &[String]) -> Result<()> {
    let keeps_log = matches!(&line.command, Command::Train(_));
    glog::init(glog::Options { module: line.command.module(), ..line.shared.log_options(keeps_log) });
    line.shared.start_threads()?;
    for flag in ignored {
        log::warn!("--{flag} has no effect on this command");
    }
    threads::within(|| run_command(&line.command))
}

fn run_command(command: &Command) -> Result<()> {
    match command {
        Command::Train(args) => train::run(args),
        Command::Test(args) => test::run(args),
        Command::Time(args) => time::run(args),
        Command::Trace(args) => trace::run(args),
        Command::Data(args) => data::run(args),
        Command::Dump(args) => dump::run(args),
        Command::Layers(args) => layers::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Schedule(args) => schedule::run(args),
        Command::ParseLog(args) => parse_log::run(args),
        Command::Check(args) => check::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Report(args) => report::run(args),
        Command::LrFind(args) => lr_find::run(args),
        Command::Selftest(args) => selftest::run(args),
    }
}

fn done(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough (`rcaffe ... | head`).
        Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                message = format!("{message}: {error}");
                cause = error.source();
            }
            fail(&message)
        }
    }
}

fn fail(message: &str) -> ExitCode {
    let line = message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    glog::copy_line(&format!("error: {line}"));
    // Nothing is left to do when stderr is closed.
    let _ = writeln!(io::stderr(), "error: {line}");
    ExitCode::FAILURE
}
