//! Kernels from source to what a card runs, by NVRTC.

use std::ffi::{CStr, CString, c_char, c_int};

use cudarc::nvrtc::sys;

use super::libraries;
use crate::error::{Error, Result};

/// The text in front of every kernel file.
pub const PRELUDE: &str = include_str!("prelude.cu");

/// How kernels are compiled: with contraction a product and a sum would be rounded once where the CPU rounds twice.
pub(super) const OPTIONS: [&str; 2] = ["--std=c++17", "--fmad=false"];

/// A file of kernels.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The name, for messages.
    pub name: &'static str,
    /// The text, without the prelude.
    pub text: &'static str,
}

/// What the compiler made of a [`Source`].
#[derive(Debug, Clone)]
pub struct Compiled {
    /// Machine code (cubin), or PTX for a card that the compiler does not know.
    pub image: Vec<u8>,
    /// What the compiler said: with `verbose`, the registers and memory of each kernel.
    pub log: String,
}

/// Compiles for a card of this compute capability (9.0 is 90). Products and sums are not contracted: where the CPU has a fused
/// multiplication and addition, the kernel says `fmaf`.
///
/// # Errors
/// When NVRTC is missing or the source is wrong; the message is the compiler's.
pub fn compile(source: &Source, capability: u32, verbose: bool) -> Result<Compiled> {
    libraries::nvrtc()?;
    let failed =
        |code: sys::nvrtcResult, call: &str| Error::cuda(format!("{call} ({}.cu)", source.name), name_of(code));
    let target = target(capability)?;
    let text = CString::new(format!("{PRELUDE}\n#line 1 \"{}.cu\"\n{}", source.name, source.text));
    let text = text.map_err(|_| Error::cuda(source.name, "the source has a zero byte"))?;
    let name = CString::new(format!("{}.cu", source.name)).unwrap_or_default();
    let mut program = std::ptr::null_mut();
    // SAFETY: both strings live beyond the call; there are no headers.
    let code = unsafe {
        sys::nvrtcCreateProgram(&mut program, text.as_ptr(), name.as_ptr(), 0, std::ptr::null(), std::ptr::null())
    };
    if code != sys::nvrtcResult::NVRTC_SUCCESS {
        return Err(failed(code, "nvrtcCreateProgram"));
    }
    let program = Program(program);
    let mut options = vec![target.option];
    options.extend(OPTIONS.map(String::from));
    if verbose {
        options.push("--ptxas-options=-v".into());
    }
    let options: Vec<CString> = options.into_iter().map(|option| CString::new(option).unwrap_or_default()).collect();
    let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
    // SAFETY: the program is alive, and so are the options.
    let code = unsafe { sys::nvrtcCompileProgram(program.0, pointers.len() as c_int, pointers.as_ptr()) };
    let log = program.log();
    if code != sys::nvrtcResult::NVRTC_SUCCESS {
        let first = log.lines().find(|line| line.contains("error")).unwrap_or(log.trim()).to_string();
        return Err(Error::cuda(
            format!("compiling {}.cu for {}", source.name, target.name),
            format!("{}: {first}", name_of(code)),
        ));
    }
    let image = if target.is_known { program.cubin() } else { program.ptx() };
    let image = image.map_err(|code| failed(code, "nvrtcGetCUBIN"))?;
    Ok(Compiled { image, log })
}

/// The compiler's version, as `13.0`.
///
/// # Errors
/// When NVRTC is missing.
pub fn compiler() -> Result<String> {
    libraries::nvrtc()?;
    let (mut major, mut minor) = (0, 0);
    // SAFETY: two numbers to write to.
    unsafe { sys::nvrtcVersion(&mut major, &mut minor) };
    Ok(format!("{major}.{minor}"))
}

/// What to compile for.
struct Target {
    option: String,
    name: String,
    /// Whether the compiler can make machine code for it; PTX else, which the driver translates.
    is_known: bool,
}

fn target(capability: u32) -> Result<Target> {
    let mut count = 0;
    // SAFETY: a number to write to.
    unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) };
    let mut known = vec![0 as c_int; count.max(0) as usize];
    // SAFETY: room for as many numbers as the compiler said.
    unsafe { sys::nvrtcGetSupportedArchs(known.as_mut_ptr()) };
    let best = known.iter().map(|&known| known as u32).filter(|&known| known <= capability).max();
    let best = best.ok_or_else(|| {
        let message = format!("a card of compute capability {}.{} is too old for it", capability / 10, capability % 10);
        Error::cuda("NVRTC", message)
    })?;
    let (prefix, is_known) = if best == capability { ("sm", true) } else { ("compute", false) };
    let name = format!("{prefix}_{best}");
    Ok(Target { option: format!("--gpu-architecture={name}"), name, is_known })
}

/// A program that is destroyed when it is dropped.
struct Program(sys::nvrtcProgram);

impl Program {
    fn log(&self) -> String {
        let text = self.bytes(sys::nvrtcGetProgramLogSize, sys::nvrtcGetProgramLog).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_end_matches('\0').to_string()
    }

    fn cubin(&self) -> Result<Vec<u8>, sys::nvrtcResult> {
        self.bytes(sys::nvrtcGetCUBINSize, sys::nvrtcGetCUBIN)
    }

    fn ptx(&self) -> Result<Vec<u8>, sys::nvrtcResult> {
        self.bytes(sys::nvrtcGetPTXSize, sys::nvrtcGetPTX)
    }

    fn bytes(
        &self,
        size: unsafe fn(sys::nvrtcProgram, *mut usize) -> sys::nvrtcResult,
        get: unsafe fn(sys::nvrtcProgram, *mut c_char) -> sys::nvrtcResult,
    ) -> Result<Vec<u8>, sys::nvrtcResult> {
        let mut length = 0;
        // SAFETY: the program is alive.
        let code = unsafe { size(self.0, &mut length) };
        if code != sys::nvrtcResult::NVRTC_SUCCESS {
            return Err(code);
        }
        let mut bytes = vec![0; length];
        // SAFETY: the program is alive, and there is room for as many bytes as it said.
        match unsafe { get(self.0, bytes.as_mut_ptr().cast()) } {
            sys::nvrtcResult::NVRTC_SUCCESS => Ok(bytes),
            code => Err(code),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: the program is alive until here.
        unsafe { sys::nvrtcDestroyProgram(&mut self.0) };
    }
}

fn name_of(code: sys::nvrtcResult) -> String {
    // SAFETY: NVRTC gives a string that lives forever for every code.
    let text = unsafe { CStr::from_ptr(sys::nvrtcGetErrorString(code)) };
    text.to_string_lossy().into_owned()
}
