//! NVRTC: the machine's C compiler.

use std::{
    ffi::{CStr, c_char, c_int},
    sync::Mutex,
};

use crate::{card, source};

/// `nvrtcResult`.
type Code = c_int;
const INVALID_INPUT: Code = 3;
const INVALID_PROGRAM: Code = 4;
const INVALID_OPTION: Code = 5;
const COMPILATION: Code = 6;

const ARCHITECTURES: [c_int; 5] = [75, 80, 86, 89, 90];

/// A program: its text, and what came of it.
struct Program {
    name: String,
    text: String,
    log: Vec<u8>,
    image: Option<Vec<u8>>,
}

static PROGRAMS: Mutex<Vec<Option<Program>>> = Mutex::new(Vec::new());

fn with(program: usize, run: impl FnOnce(&mut Program) -> Code) -> Code {
    let mut programs = PROGRAMS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = program.checked_sub(1).and_then(|index| programs.get_mut(index)?.as_mut());
    known.map_or(INVALID_PROGRAM, run)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcVersion(major: *mut c_int, minor: *mut c_int) -> Code {
    (*major, *minor) = (13, 0);
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetErrorString(error: Code) -> *const c_char {
    let text = match error {
        0 => c"NVRTC_SUCCESS",
        INVALID_INPUT => c"NVRTC_ERROR_INVALID_INPUT",
        INVALID_PROGRAM => c"NVRTC_ERROR_INVALID_PROGRAM",
        INVALID_OPTION => c"NVRTC_ERROR_INVALID_OPTION",
        COMPILATION => c"NVRTC_ERROR_COMPILATION",
        _ => c"NVRTC_ERROR unknown",
    };
    text.as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetNumSupportedArchs(count: *mut c_int) -> Code {
    *count = ARCHITECTURES.len() as c_int;
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetSupportedArchs(all: *mut c_int) -> Code {
    std::ptr::copy_nonoverlapping(ARCHITECTURES.as_ptr(), all, ARCHITECTURES.len());
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcCreateProgram(
    program: *mut usize,
    text: *const c_char,
    name: *const c_char,
    headers: c_int,
    _: *const *const c_char,
    _: *const *const c_char,
) -> Code {
    if headers != 0 {
        return INVALID_INPUT;
    }
    let string = |text: *const c_char| CStr::from_ptr(text).to_string_lossy().into_owned();
    let name = if name.is_null() { "default_program".into() } else { string(name) };
    let mut programs = PROGRAMS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    programs.push(Some(Program { name, text: string(text), log: vec![0], image: None }));
    *program = programs.len();
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcDestroyProgram(program: *mut usize) -> Code {
    let mut programs = PROGRAMS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = (*program).checked_sub(1).and_then(|index| programs.get_mut(index)?.take());
    *program = 0;
    known.map_or(INVALID_PROGRAM, |_| 0)
}

/// What the C compiler is told of an option; `None` for options that NVRTC does not know.
fn translate(option: &str) -> Option<Vec<String>> {
    let architecture = option.strip_prefix("--gpu-architecture=").or(option.strip_prefix("-arch="));
    if let Some(name) = architecture {
        let number = name.strip_prefix("sm_").or(name.strip_prefix("compute_"))?.parse::<c_int>().ok()?;
        return ARCHITECTURES.contains(&number).then(Vec::new);
    }
    if let Some(define) = option.strip_prefix("-D").or(option.strip_prefix("--define-macro=")) {
        return Some(vec![format!("-D{define}")]);
    }
    const IGNORED: [&str; 14] = [
        "--fmad=",
        "-fmad=",
        "--std=",
        "-std=",
        "--ptxas-options=",
        "--ftz=",
        "--prec-div=",
        "--prec-sqrt=",
        "-lineinfo",
        "--generate-line-info",
        "--device-as-default-execution-space",
        "-default-device",
        "--maxrregcount=",
        "--restrict",
    ];
    IGNORED.iter().any(|known| option.starts_with(known)).then(Vec::new)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcCompileProgram(program: usize, count: c_int, options: *const *const c_char) -> Code {
    let mut flags = Vec::new();
    for index in 0..count as usize {
        let option = CStr::from_ptr(*options.add(index)).to_string_lossy();
        let Some(translated) = translate(&option) else {
            return with(program, |program| {
                program.log = format!("nvrtc: error: unrecognized option {option}\0").into_bytes();
                INVALID_OPTION
            });
        };
        flags.extend(translated);
    }
    with(program, |program| {
        card::record(&program.name, &program.text);
        let (image, log) = match source::compile(&program.name, &program.text, &flags) {
            Ok((image, warnings)) => (Some(image), warnings),
            Err(log) => (None, log),
        };
        program.log = log.replace('\0', " ").into_bytes();
        program.log.push(0);
        program.image = image;
        if program.image.is_some() { 0 } else { COMPILATION }
    })
}

unsafe fn give(program: usize, size: *mut usize, to: *mut c_char, part: fn(&Program) -> Option<&[u8]>) -> Code {
    with(program, |program| {
        let Some(bytes) = part(program) else { return INVALID_PROGRAM };
        if !size.is_null() {
            *size = bytes.len();
        }
        if !to.is_null() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), to, bytes.len());
        }
        0
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetProgramLogSize(program: usize, size: *mut usize) -> Code {
    give(program, size, std::ptr::null_mut(), |program| Some(&program.log))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetProgramLog(program: usize, log: *mut c_char) -> Code {
    give(program, std::ptr::null_mut(), log, |program| Some(&program.log))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetCUBINSize(program: usize, size: *mut usize) -> Code {
    give(program, size, std::ptr::null_mut(), |program| program.image.as_deref())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetCUBIN(program: usize, image: *mut c_char) -> Code {
    give(program, std::ptr::null_mut(), image, |program| program.image.as_deref())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetPTXSize(program: usize, size: *mut usize) -> Code {
    nvrtcGetCUBINSize(program, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvrtcGetPTX(program: usize, image: *mut c_char) -> Code {
    nvrtcGetCUBIN(program, image)
}
