//! From a kernel's text to a library: the C compiler's preprocessor, a launch function for each kernel, the C compiler.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

const SHIM: &str = include_str!("shim.h");
const THREADS: &str = include_str!("threads.c");

/// Marks a kernel in the preprocessed text.
const KERNEL: &str = "EMULATED_KERNEL";
/// A kernel that may call these needs threads that wait for each other.
const MEETINGS: [&str; 2] = ["emulated_barrier", "emulated_exchange"];

/// Errors for what NVRTC's C++ would not take either; the fused and reordered arithmetic of fast modes is not wanted.
const FLAGS: [&str; 16] = [
    "-std=gnu11",
    "-O2",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fno-math-errno",
    "-fwrapv",
    "-fsanitize=bounds,alignment",
    "-fsanitize-undefined-trap-on-error",
    "-march=native",
    "-g1",
    "-Werror=implicit-function-declaration",
    "-Werror=int-conversion",
    "-Werror=incompatible-pointer-types",
    "-Werror=return-type",
    "-Wno-unknown-pragmas",
];

/// Compiles a program; returns the library and the compiler's warnings.
///
/// # Errors
/// The compiler's messages.
pub fn compile(name: &str, text: &str, defines: &[String]) -> Result<(Vec<u8>, String), String> {
    let folder = Folder::new()?;
    let source = format!("{}.cu", Path::new(name).file_stem().map_or("program".into(), |stem| stem.to_string_lossy()));
    folder.write("shim.h", SHIM)?;
    folder.write("threads.c", THREADS)?;
    folder.write(&source, text)?;
    let preprocess = ["-E", "-include", "shim.h", "-x", "c", &source, "-o", "kernels.i"];
    compiler(&folder.0, defines.iter().map(String::as_str).chain(preprocess))?;
    let expanded = folder.read("kernels.i")?;
    folder.write("kernels.i", &format!("{expanded}\n# 1 \"launches.c\"\n{}", launches(name, &expanded)?))?;
    let build = [
        "-shared",
        "-o",
        "kernels.so",
        "-x",
        "cpp-output",
        "kernels.i",
        "-x",
        "c",
        "-include",
        "shim.h",
        "threads.c",
        "-lm",
    ];
    let warnings = compiler(&folder.0, build.into_iter())?;
    let image = fs::read(folder.0.join("kernels.so")).map_err(|error| error.to_string())?;
    Ok((image, warnings))
}

fn compiler<'a>(folder: &Path, arguments: impl Iterator<Item = &'a str>) -> Result<String, String> {
    let name = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let output = Command::new(&name).current_dir(folder).args(FLAGS).args(arguments).output();
    let output = output.map_err(|error| format!("the emulated card needs a C compiler, {name}: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(log) } else { Err(log) }
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("emulated_card-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        Ok(Folder(path))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        fs::write(self.0.join(name), text).map_err(|error| error.to_string())
    }

    fn read(&self, name: &str) -> Result<String, String> {
        fs::read_to_string(self.0.join(name)).map_err(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing is lost when it stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A kernel as its text declares it.
struct Kernel {
    name: String,
    types: Vec<String>,
}

/// The launch functions of all kernels.
fn launches(program: &str, text: &str) -> Result<String, String> {
    let kernels = kernels(text)?;
    let meeting = functions_that_meet(text);
    let mut code = format!("const char emulated_program[] = {program:?};\n");
    code.push_str("void emulated_run(void (*)(void **), void (*)(void **, _Bool), void **, const unsigned *, const unsigned *, _Bool);\n");
    for Kernel { name, types } in &kernels {
        let count = types.len();
        let arguments: Vec<String> = types.iter().enumerate().map(|(at, kind)| format!("*({kind} *)p[{at}]")).collect();
        let list =
            |of: &dyn Fn(&String) -> String| types.iter().map(of).chain(["0".into()]).collect::<Vec<_>>().join(", ");
        let (sizes, pointers) =
            (list(&|kind| format!("sizeof({kind})")), list(&|kind| u8::from(kind.contains('*')).to_string()));
        let call = format!("{name}({})", arguments.join(", "));
        let run = if meeting.contains(name) {
            format!("static void emulated_all_{name}(void **p) {{ (void)p; {call}; }}\n")
        } else {
            PLAIN.replace("NAME", name).replace("CALL", &call)
        };
        let pair =
            if meeting.contains(name) { format!("emulated_all_{name}, 0") } else { format!("0, emulated_all_{name}") };
        let _ = write!(
            code,
            "const unsigned emulated_count_{name} = {count};\n\
             const unsigned emulated_sizes_{name}[] = {{{sizes}}};\n\
             const unsigned char emulated_pointers_{name}[] = {{{pointers}}};\n\
             {run}\
             void emulated_launch_{name}(void **p, const unsigned *blocks, const unsigned *threads, _Bool reversed) {{\n\
             emulated_run({pair}, p, blocks, threads, reversed);\n}}\n"
        );
    }
    Ok(code)
}

/// All threads of a block, one after another.
const PLAIN: &str = "static void emulated_all_NAME(void **p, _Bool reversed) {
    (void)p;
    unsigned all = emulated_place.threads.x * emulated_place.threads.y * emulated_place.threads.z;
    for (unsigned turn = 0; turn < all; turn++) {
        unsigned thread = reversed ? all - 1 - turn : turn;
        emulated_place.thread.x = thread % emulated_place.threads.x;
        emulated_place.thread.y = thread / emulated_place.threads.x % emulated_place.threads.y;
        emulated_place.thread.z = thread / emulated_place.threads.x / emulated_place.threads.y;
        CALL;
    }
}
";

fn kernels(text: &str) -> Result<Vec<Kernel>, String> {
    let mut kernels: Vec<Kernel> = Vec::new();
    for (at, _) in text.match_indices(KERNEL) {
        let rest = &text[at + KERNEL.len()..];
        let Some(open) = rest.find(['(', ';']) else { continue };
        // The typedef itself, and whatever stands before the name.
        let Some(name) = rest[..open].split_whitespace().last().filter(|_| rest[open..].starts_with('(')) else {
            continue;
        };
        let close = closing(&rest[open..]).ok_or_else(|| format!("kernel {name}: no end of its arguments"))?;
        let list: Vec<&str> = rest[open + 1..open + close].split(',').map(str::trim).collect();
        let list = if list == [""] || list == ["void"] { Vec::new() } else { list };
        let types = list.iter().map(|argument| argument_type(argument).to_string()).collect();
        if kernels.iter().all(|known| known.name != name) {
            kernels.push(Kernel { name: name.into(), types });
        }
    }
    Ok(kernels)
}

/// An argument without its name.
fn argument_type(argument: &str) -> &str {
    argument.trim_end_matches(|letter: char| letter.is_alphanumeric() || letter == '_').trim_end()
}

/// Where the bracket that this text begins with closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '{' => depth += 1,
            ')' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The names of all functions that may come to a barrier or shuffle, themselves or through others.
fn functions_that_meet(text: &str) -> BTreeSet<String> {
    let functions = functions(text);
    let mut meeting: BTreeSet<String> = MEETINGS.map(String::from).into();
    loop {
        let more: Vec<&String> = functions
            .iter()
            .filter(|(name, body)| !meeting.contains(name) && words(body).any(|word| meeting.contains(word)))
            .map(|(name, _)| name)
            .collect();
        if more.is_empty() {
            return meeting;
        }
        meeting.extend(more.into_iter().cloned());
    }
}

/// Every function with a body: its name and that.
fn functions(text: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    // The name in front of the last bracket that opened outside of all others.
    let mut name = "";
    while let Some(next) = text[at..].find(['(', '{', ';']) {
        let place = at + next;
        match text.as_bytes()[place] {
            b';' => {
                name = "";
                at = place + 1;
            }
            bracket => {
                let end = place + closing(&text[place..]).unwrap_or(text.len() - place - 1);
                if bracket == b'(' {
                    let front = words(&text[at..place]).last().unwrap_or("");
                    // `__attribute__((...))` behind the arguments names nothing.
                    if !front.starts_with("__attribute") && (!front.is_empty() || name.is_empty()) {
                        name = front;
                    }
                } else if !name.is_empty() {
                    found.push((name.to_string(), &text[place..=end]));
                    name = "";
                }
                at = end + 1;
            }
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).filter(|word| !word.is_empty())
}
