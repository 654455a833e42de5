//! The executable: parses the arguments, runs, prints the error, sets the exit code.

fn main() {}
