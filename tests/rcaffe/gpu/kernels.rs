//! All programs of the self-test through NVRTC, where there is one: they compile for every generation of cards, and what their kernels use
//! is printed.
//!
//! `RCAFFE_CUDA_PATH` names the folder of a toolkit or of a Python environment with `nvidia-cuda-nvrtc`.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use rcaffe::cuda::{self, PRELUDE, Source};

use super::{files, selftest::recorded};

/// Compute capabilities: Turing, Ampere (two), Ada, Hopper.
const CAPABILITIES: [u32; 5] = [75, 80, 86, 89, 90];

/// What a kernel uses, as the compiler says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Use {
    kernel: String,
    registers: usize,
    stack: usize,
    spills: usize,
    shared: usize,
}

/// The number in front of this in a line.
fn number(line: &str, behind: &str) -> usize {
    let front = line.split(behind).next().unwrap_or_default();
    front
        .rsplit(|letter: char| !letter.is_ascii_digit())
        .find(|part| !part.is_empty())
        .and_then(|part| part.parse().ok())
        .unwrap_or(0)
}

/// What the compiler's log says of each kernel.
fn uses(log: &str) -> Vec<Use> {
    let mut uses: Vec<Use> = Vec::new();
    for line in log.lines() {
        if let Some(rest) = line.split("Compiling entry function '").nth(1) {
            uses.push(Use { kernel: rest.split('\'').next().unwrap_or_default().into(), ..Use::default() });
        }
        let Some(last) = uses.last_mut() else { continue };
        if line.contains("bytes stack frame") {
            last.stack = number(line, " bytes stack frame");
            last.spills = number(line, " bytes spill stores") + number(line, " bytes spill loads");
        }
        if line.contains("Used ") {
            last.registers = number(line, " registers");
            last.shared = if line.contains("bytes smem") { number(line, " bytes smem") } else { 0 };
        }
    }
    uses
}

#[test]
fn what_the_compiler_says_is_read() {
    let log = "ptxas info    : Compiling entry function 'relu' for 'sm_90'\n\
               ptxas info    : Function properties for relu\n\
               \x20   16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n\
               ptxas info    : Used 12 registers, used 1 barriers, 4224 bytes smem, 380 bytes cmem[0]\n";
    assert_eq!(uses(log), [Use { kernel: "relu".into(), registers: 12, stack: 16, spills: 12, shared: 4224 }]);
}

#[test]
fn every_kernel_compiles_for_every_generation_of_cards() {
    let version = match cuda::compiler() {
        Ok(version) => version,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let (folder, _) = recorded();
    let programs: Vec<PathBuf> =
        files(&folder).into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "cu")).collect();
    assert!(!programs.is_empty());
    let results: Vec<Result<String, String>> = programs.par_iter().map(|file| compile(file)).collect();
    let mut table = format!("NVRTC {version}; registers, bytes of stack, bytes of spills, bytes of shared memory\n");
    let _ = writeln!(
        table,
        "{:<24} {:<32} {}",
        "file",
        "kernel",
        CAPABILITIES.map(|number| format!("{:>20}", format!("sm_{number}"))).concat()
    );
    table.extend(results.iter().flatten().map(String::as_str));
    eprintln!("{table}");
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels.txt"), table).expect("a file");
    let failures: Vec<&String> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The lines of a program's kernels.
fn compile(file: &Path) -> Result<String, String> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let text = text.strip_prefix(PRELUDE).ok_or("no prelude")?.to_string();
    // A source lives as long as the program, here as there.
    let source = Source { name: name.leak(), text: text.leak() };
    let mut columns = Vec::new();
    for capability in CAPABILITIES {
        let compiled = cuda::compile(&source, capability, true).map_err(|error| error.to_string())?;
        columns.push(uses(&compiled.log));
    }
    let mut lines = String::new();
    for kernel in &columns[0] {
        let of = |column: &Vec<Use>| {
            let found = column.iter().find(|found| found.kernel == kernel.kernel);
            let found = found.map_or_else(String::new, |Use { registers, stack, spills, shared, .. }| {
                let mark = if *spills > 0 { "!" } else { "" };
                format!("{mark}{registers} {stack} {spills} {shared}")
            });
            format!("{found:>20}")
        };
        let _ =
            writeln!(lines, "{:<24} {:<32} {}", source.name, kernel.kernel, columns.iter().map(of).collect::<String>());
    }
    Ok(lines)
}
