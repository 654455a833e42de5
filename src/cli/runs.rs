//! The runs that commands name: files, with a name in front where the user gives one.

use std::path::Path;

use crate::{error::Result, report::runs::Run};

/// Reads `FILE` or `NAME=FILE` each. Runs whose files have the same name get their paths as names.
///
/// # Errors
/// When a file cannot be read or holds no run.
pub fn read_all(arguments: &[String]) -> Result<Vec<Run>> {
    let mut runs = arguments.iter().map(|argument| read(argument)).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    for (run, argument) in runs.iter_mut().zip(arguments) {
        if names.iter().filter(|name| **name == run.name).count() > 1 {
            run.name = argument.split_once('=').map_or(argument.as_str(), |(_, path)| path).to_string();
        }
    }
    Ok(runs)
}

fn read(argument: &str) -> Result<Run> {
    match argument.split_once('=') {
        Some((name, path)) if !name.is_empty() && !Path::new(argument).exists() => {
            Ok(Run { name: name.to_string(), ..Run::read(Path::new(path))? })
        }
        _ => Run::read(Path::new(argument)),
    }
}
