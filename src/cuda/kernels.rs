//! The kernels that a card has loaded.

use std::{collections::HashMap, ffi::CString};

use cudarc::driver::{result, sys};

use super::{Properties, Source, cache, failure::failed};
use crate::error::Result;

/// Loaded files of kernels, and the kernels in them that were asked for.
#[derive(Debug, Default)]
pub struct Kernels {
    modules: HashMap<&'static str, sys::CUmodule>,
    functions: HashMap<(&'static str, &'static str), sys::CUfunction>,
}

// SAFETY: modules and functions may be used by any thread that has made the context current.
unsafe impl Send for Kernels {}

impl Kernels {
    /// A kernel of a file, which is compiled and loaded when it is the first. The context of the card must be current.
    ///
    /// # Errors
    /// When the file cannot be compiled or loaded, or has no such kernel.
    pub fn get(&mut self, card: &Properties, source: &Source, kernel: &'static str) -> Result<sys::CUfunction> {
        if let Some(function) = self.functions.get(&(source.name, kernel)) {
            return Ok(*function);
        }
        let module = self.module(card, source)?;
        let name = CString::new(kernel).unwrap_or_default();
        // SAFETY: the module is alive and never unloaded.
        let function = unsafe { result::module::get_function(module, name) };
        let function = function.map_err(|error| failed(&format!("kernel {kernel} of {}.cu", source.name), error))?;
        self.functions.insert((source.name, kernel), function);
        Ok(function)
    }

    fn module(&mut self, card: &Properties, source: &Source) -> Result<sys::CUmodule> {
        if let Some(module) = self.modules.get(source.name) {
            return Ok(*module);
        }
        let mut image = cache::image(source, card.capability, card.driver)?;
        // PTX is a C string.
        image.push(0);
        // SAFETY: the image is what the compiler made, whole and with a zero at its end.
        let module = unsafe { result::module::load_data(image.as_ptr().cast()) };
        let module = module.map_err(|error| failed(&format!("loading {}.cu", source.name), error))?;
        self.modules.insert(source.name, module);
        Ok(module)
    }
}
