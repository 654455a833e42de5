//! The spelling of Caffe's flags (gflags), translated to the one that clap reads.
//!
//! One dash or two; `=` or a blank before the value; `_` or `-` within names; `-noX` for `-X=false`; flags before the command
//! as well as after it; the last one wins. `caffe train -solver x` works with the name changed.

use std::{collections::HashMap, ffi::OsString};

use clap::{ArgAction, Command};

/// Arguments for clap, and the flags left out of them: Caffe's own, which this command does not use.
#[derive(Debug, PartialEq, Eq)]
pub struct Translated {
    /// The program's name, the command and other words, then the flags.
    pub args: Vec<OsString>,
    /// Names of the flags left out, without dashes.
    pub ignored: Vec<String>,
}

/// Commands of Caffe's tool: as there, each accepts the flags of the others.
const CAFFE: [&str; 3] = ["train", "test", "time"];

/// What may follow a flag's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A value.
    Value,
    /// Nothing; it is off unless given.
    Switch,
    /// Nothing, or `=` and true or false.
    Bool,
}

/// Translates the arguments, the program's name first, for this command line. What it does not know it leaves to clap.
pub fn translate(args: Vec<OsString>, root: &Command) -> Translated {
    let mut args = args.into_iter();
    let program = args.next();
    let args: Vec<OsString> = args.collect();
    let all = kinds(root, &|_| true);
    let command = command_of(&args, &all, root);
    let known = match command {
        Some(command) => kinds(root, &|name| name == command),
        None => all,
    };
    let caffe = match command {
        Some(command) if CAFFE.contains(&command) => kinds(root, &|name| CAFFE.contains(&name)),
        _ => HashMap::new(),
    };
    let mut out = Output::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            out.rest.push(arg);
            out.rest.extend(args.by_ref());
            break;
        }
        let Some(flag) = Flag::parse(&arg) else {
            out.words.push(arg);
            continue;
        };
        let (flags, ignored) = match flag.find(&known) {
            Some(_) => (&known, false),
            None => (&caffe, true),
        };
        match flag.find(flags) {
            None => out.unknown.push(flag.unknown()),
            Some((name, kind, on)) => {
                let value = match (kind, flag.value) {
                    (Kind::Value, None) => args.next(),
                    (_, value) => value.map(OsString::from),
                };
                match ignored {
                    true => out.ignored.push(name),
                    false => out.add(name, kind, on, value),
                }
            }
        }
    }
    // What clap will object to stands right behind the command, so that it is what clap names.
    let mut words = out.words.into_iter();
    let begin = program.into_iter().chain(words.next()).chain(out.unknown);
    Translated { args: begin.chain(words).chain(out.flags).chain(out.rest).collect(), ignored: out.ignored }
}

#[derive(Default)]
struct Output {
    words: Vec<OsString>,
    flags: Vec<OsString>,
    unknown: Vec<OsString>,
    rest: Vec<OsString>,
    ignored: Vec<String>,
}

impl Output {
    fn add(&mut self, name: String, kind: Kind, on: bool, value: Option<OsString>) {
        let flag = if name.starts_with('-') { name } else { format!("--{name}") };
        let truth = value.as_ref().map_or(Some(on), truth);
        match (kind, truth) {
            (Kind::Switch, Some(true)) => self.push(flag, None),
            (Kind::Switch, Some(false)) => self.flags.retain(|other| *other != *flag),
            (Kind::Bool, Some(truth)) => self.push(flag, Some(truth.to_string().into())),
            // Where a value is missing or none is allowed, clap says so.
            (Kind::Switch | Kind::Bool, None) | (Kind::Value, _) => self.push(flag, value),
        }
    }

    fn push(&mut self, flag: String, value: Option<OsString>) {
        let mut flag = OsString::from(flag);
        if let Some(value) = value {
            flag.push("=");
            flag.push(value);
        }
        self.flags.push(flag);
    }
}

/// An argument that looks like a flag: `-solver`, `--solver=x`.
struct Flag<'a> {
    dashes: usize,
    /// The name with `-` for `_`.
    name: String,
    value: Option<&'a str>,
}

impl<'a> Flag<'a> {
    /// `None` for words, negative numbers and `-`.
    fn parse(arg: &'a OsString) -> Option<Self> {
        let text = arg.to_str()?;
        let dashes = text.len() - text.trim_start_matches('-').len();
        let body = &text[dashes..];
        if !(1..=2).contains(&dashes) || !body.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return None;
        }
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        Some(Flag { dashes, name: name.replace('_', "-"), value })
    }

    /// The flag's name as clap knows it, its kind, and whether it is on (off for `-noX`).
    fn find(&self, kinds: &HashMap<String, Kind>) -> Option<(String, Kind, bool)> {
        if let Some(&kind) = kinds.get(&self.name) {
            return Some((self.name.clone(), kind, true));
        }
        let short = format!("-{}", self.name);
        if let Some(&kind) = kinds.get(&short).filter(|_| self.dashes == 1) {
            return Some((short, kind, true));
        }
        let name = self.name.strip_prefix("no")?;
        let name = name.strip_prefix('-').unwrap_or(name);
        match kinds.get(name) {
            Some(&kind) if kind != Kind::Value => Some((name.into(), kind, false)),
            _ => None,
        }
    }

    /// A flag of no command: `-help` and its relatives, or a typo, which clap shall see as a long flag so that it can suggest the
    /// right one.
    fn unknown(&self) -> OsString {
        match self.name.as_str() {
            "helpshort" | "helpfull" => "--help".into(),
            name => match self.value {
                Some(value) => format!("--{name}={value}").into(),
                None => format!("--{name}").into(),
            },
        }
    }
}

/// The command among the arguments: the first word that is not a flag's value.
fn command_of<'a>(args: &[OsString], all: &HashMap<String, Kind>, root: &'a Command) -> Option<&'a str> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match Flag::parse(arg) {
            None => return root.get_subcommands().map(Command::get_name).find(|name| arg == *name),
            Some(flag) if flag.value.is_none() && matches!(flag.find(all), Some((_, Kind::Value, _))) => {
                args.next();
            }
            Some(_) => {}
        }
    }
    None
}

/// The flags of the program itself and of the commands wanted, with their commands below: long ones by name, short ones with their dash.
fn kinds(root: &Command, wanted: &dyn Fn(&str) -> bool) -> HashMap<String, Kind> {
    let mut found = HashMap::new();
    collect(root, &mut found);
    let mut commands: Vec<&Command> = root.get_subcommands().filter(|command| wanted(command.get_name())).collect();
    while let Some(command) = commands.pop() {
        collect(command, &mut found);
        commands.extend(command.get_subcommands());
    }
    found
}

fn collect(command: &Command, found: &mut HashMap<String, Kind>) {
    for flag in command.get_arguments() {
        let kind = match flag.get_action() {
            ArgAction::Set | ArgAction::Append => match flag.get_num_args() {
                Some(range) if range.min_values() == 0 => Kind::Bool,
                _ => Kind::Value,
            },
            _ => Kind::Switch,
        };
        found.extend(flag.get_long().map(|name| (name.replace('_', "-"), kind)));
        found.extend(flag.get_short().map(|letter| (format!("-{letter}"), kind)));
    }
}

/// A truth value as gflags reads it.
fn truth(value: &OsString) -> Option<bool> {
    match value.to_str()?.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn translated(line: &str) -> Translated {
        let mut root = super::super::CommandLine::command();
        root.build();
        translate(line.split(' ').map(OsString::from).collect(), &root)
    }

    fn args(line: &str) -> String {
        translated(line).args.into_iter().map(|arg| arg.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_dash_or_two_equals_or_blank() {
        let expected = "rcaffe train --solver=x --gpu=0";
        for line in ["train -solver x -gpu 0", "train --solver=x --gpu=0", "train -solver=x --gpu 0"] {
            assert_eq!(args(&format!("rcaffe {line}")), expected);
        }
    }

    #[test]
    fn flags_stand_before_the_command_too() {
        assert_eq!(args("rcaffe -solver=a -gpu all train"), "rcaffe train --solver=a --gpu=all");
        // A flag's value is not the command.
        assert_eq!(args("rcaffe -solver test train"), "rcaffe train --solver=test");
    }

    #[test]
    fn underscores_are_dashes() {
        assert_eq!(args("rcaffe train -sigint_effect none"), "rcaffe train --sigint-effect=none");
    }

    #[test]
    fn truth_values_as_gflags_reads_them() {
        assert_eq!(args("rcaffe train --logtostderr=1"), "rcaffe train --logtostderr");
        assert_eq!(args("rcaffe train -logtostderr -nologtostderr"), "rcaffe train");
        assert_eq!(args("rcaffe train --nolog_prefix"), "rcaffe train --log-prefix=false");
        assert_eq!(args("rcaffe train --quiet=maybe"), "rcaffe train --quiet=maybe");
    }

    #[test]
    fn negative_numbers_are_values() {
        assert_eq!(args("rcaffe test -iterations -3"), "rcaffe test --iterations=-3");
    }

    #[test]
    fn flags_of_caffes_other_commands_are_accepted_and_named() {
        let line = translated("rcaffe train -iterations 5 -solver x");
        assert_eq!(line.args, ["rcaffe", "train", "--solver=x"]);
        assert_eq!(line.ignored, ["iterations"]);
        // rcaffe's own commands take their own flags only.
        assert_eq!(args("rcaffe layers -gpu 0"), "rcaffe layers --gpu 0");
    }

    #[test]
    fn typos_reach_clap_as_long_flags() {
        assert_eq!(args("rcaffe train -sovler x"), "rcaffe train --sovler x");
        assert_eq!(args("rcaffe train -q -h"), "rcaffe train -q -h");
        assert_eq!(args("rcaffe -helpfull"), "rcaffe --help");
    }

    #[test]
    fn short_flags_of_a_command_keep_their_value() {
        assert_eq!(args("rcaffe parse-log -o folder a.log"), "rcaffe parse-log a.log -o=folder");
    }

    #[test]
    fn what_follows_two_dashes_is_left_alone() {
        assert_eq!(args("rcaffe train -- -solver"), "rcaffe train -- -solver");
    }
}
