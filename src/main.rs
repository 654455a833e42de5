//! The executable: hands the arguments to the library.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    rcaffe::cli::main(env::args_os())
}
