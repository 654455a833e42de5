//! What cards there are, and what each is.

use cudarc::driver::{result, sys};

use super::{failure::failed, libraries};
use crate::error::{Error, Result};

/// What a card is.
#[derive(Debug, Clone)]
pub struct Properties {
    /// Its number, from 0.
    pub ordinal: usize,
    /// What its maker calls it.
    pub name: String,
    /// Its compute capability: 9.0 is 90.
    pub capability: u32,
    /// How many multiprocessors it has.
    pub multiprocessors: usize,
    /// Bytes of memory.
    pub memory: usize,
    /// The version of CUDA that the driver knows: 13.0 is 13000.
    pub driver: i32,
    /// Other facts, by name, as `rcaffe devices` prints them.
    pub facts: Vec<(&'static str, i64)>,
}

/// How many cards the driver finds.
pub(super) fn count() -> Result<usize> {
    libraries::driver()?;
    result::init().map_err(|error| failed("cuInit", error))?;
    let count = result::device::get_count().map_err(|error| failed("cuDeviceGetCount", error))?;
    match count {
        0 => Err(Error::cuda("cuDeviceGetCount", "the driver finds no GPU; leave --gpu out to run on the CPU")),
        count => Ok(count as usize),
    }
}

pub(super) fn properties(ordinal: usize) -> Result<Properties> {
    use sys::CUdevice_attribute_enum as Attribute;
    let device = result::device::get(ordinal as i32).map_err(|error| failed("cuDeviceGet", error))?;
    // SAFETY: the device is one of the driver's, here and below.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) }.unwrap_or_default();
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device) }.map_err(|error| failed("cuDeviceTotalMem", error))?;
    let mut driver = 0;
    // SAFETY: a number to write to.
    unsafe { sys::cuDriverGetVersion(&mut driver) };
    let facts = [
        ("Clock rate (kHz)", Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        ("Memory clock rate (kHz)", Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
        ("Memory bus width (bits)", Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
        ("L2 cache (bytes)", Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
        ("Shared memory per block (bytes)", Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
        (
            "Shared memory per multiprocessor (bytes)",
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
        ),
        ("Registers per block", Attribute::CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
        ("Threads per block", Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
        ("Threads per multiprocessor", Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR),
        ("Warp size", Attribute::CU_DEVICE_ATTRIBUTE_WARP_SIZE),
        ("PCI bus", Attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID),
    ];
    let [major, minor] = [
        Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
        Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
    ]
    .map(attribute);
    Ok(Properties {
        ordinal,
        name: result::device::get_name(device).map_err(|error| failed("cuDeviceGetName", error))?,
        capability: (10 * major + minor).max(0) as u32,
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT).max(1) as usize,
        memory,
        driver,
        facts: facts.map(|(name, fact)| (name, i64::from(attribute(fact)))).to_vec(),
    })
}
