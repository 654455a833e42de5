//! Failed calls in words.

use std::ffi::CStr;

use cudarc::driver::{result, sys};

use crate::error::Error;

/// The error of a call that failed.
pub fn failed(call: &str, error: result::DriverError) -> Error {
    Error::cuda(call, describe(error))
}

/// The driver's words for an error, and what to do.
pub fn describe(error: result::DriverError) -> String {
    use sys::CUresult as Code;
    let text = |text: Result<&CStr, _>| text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let advice = match error.0 {
        Code::CUDA_ERROR_OUT_OF_MEMORY => "; a smaller batch takes less memory, `nvidia-smi` shows who else has it",
        Code::CUDA_ERROR_NO_DEVICE => "; leave --gpu out to run on the CPU",
        Code::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => "; the driver was updated: restart the machine",
        Code::CUDA_ERROR_INVALID_IMAGE
        | Code::CUDA_ERROR_NO_BINARY_FOR_GPU
        | Code::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            "; NVRTC is newer than the driver: update the driver, or let RCAFFE_CUDA_PATH name an older toolkit"
        }
        Code::CUDA_ERROR_ILLEGAL_ADDRESS | Code::CUDA_ERROR_LAUNCH_FAILED | Code::CUDA_ERROR_ASSERT => {
            "; this is a mistake in rcaffe: please report it with the output of `rcaffe selftest --gpu 0`"
        }
        _ => "",
    };
    format!("{}: {}{advice}", text(error.error_name()), text(error.error_string()))
}
