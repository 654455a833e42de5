//! Cards, their attributes, and the context.

use std::ffi::{c_char, c_int, c_uint, c_void};

use crate::{
    card::{HAS_CONTEXT, call, in_context, initialized, number},
    codes::{Code, INVALID_CONTEXT, INVALID_DEVICE, INVALID_VALUE, NO_DEVICE},
};

/// CUDA 13.0.
const DRIVER: c_int = 13_000;
const CONTEXT: *mut c_void = 0x0cca_0000 as *mut c_void;

/// Attributes by their numbers in `cuda.h`: those of an H100, as far as programs ask for them. All others are 0.
const ATTRIBUTES: &[(c_int, c_int)] = &[
    (1, 1024),          // threads per block
    (2, 1024),          // block.x
    (3, 1024),          // block.y
    (4, 64),            // block.z
    (5, 2_147_483_647), // grid.x
    (6, 65_535),        // grid.y
    (7, 65_535),        // grid.z
    (8, 49_152),        // shared memory per block
    (9, 65_536),        // constant memory
    (10, 32),           // threads of a warp
    (11, 2_147_483_647),
    (12, 65_536),    // registers per block
    (13, 1_755_000), // clock in kHz
    (14, 512),
    (15, 1),
    (16, 132), // multiprocessors
    (19, 1),
    (31, 1),
    (33, 1),
    (36, 2_619_000), // memory's clock in kHz
    (37, 5_120),     // memory's bus in bits
    (38, 52_428_800),
    (39, 2_048), // threads per multiprocessor
    (40, 3),
    (41, 1),
    (75, 9), // compute capability
    (76, 0),
    (78, 1),
    (79, 1),
    (80, 1),
    (81, 233_472),
    (82, 65_536),
    (97, 232_448),
    (106, 32),
    (115, 1),
];

/// Memory of the card.
pub fn total_memory() -> usize {
    number("MEMORY", 8 << 30)
}

fn cards() -> c_int {
    number("COUNT", 1) as c_int
}

fn known(device: c_int) -> Result<(), Code> {
    if (0..cards()).contains(&device) { Ok(()) } else { Err(INVALID_DEVICE) }
}

unsafe fn write_name(name: &[u8], to: *mut c_char, room: c_int) -> Result<(), Code> {
    let fits = usize::try_from(room).map_err(|_| INVALID_VALUE)?.min(name.len() + 1);
    if fits == 0 {
        return Err(INVALID_VALUE);
    }
    std::ptr::copy_nonoverlapping(name.as_ptr().cast(), to, fits - 1);
    *to.add(fits - 1) = 0;
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuInit(flags: c_uint) -> Code {
    call(|card| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        card.is_initialized = cards() > 0;
        if card.is_initialized { Ok(()) } else { Err(NO_DEVICE) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Code {
    *version = DRIVER;
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Code {
    initialized(|_| {
        *count = cards();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> Code {
    initialized(|_| {
        known(ordinal)?;
        *device = ordinal;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, room: c_int, device: c_int) -> Code {
    initialized(|_| {
        known(device)?;
        write_name(b"Emulated card", name, room)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetPCIBusId(id: *mut c_char, room: c_int, device: c_int) -> Code {
    initialized(|_| {
        known(device)?;
        write_name(format!("0000:{:02X}:00.0", device + 1).as_bytes(), id, room)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int) -> Code {
    initialized(|_| {
        known(device)?;
        let entry = ATTRIBUTES.iter().find(|(known, _)| *known == attribute);
        *value = entry.map_or(0, |(_, value)| *value);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) -> Code {
    initialized(|_| {
        known(device)?;
        *bytes = total_memory();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) -> Code {
    initialized(|_| {
        known(device)?;
        *uuid = *b"EMULATED CARD 0\0";
        (*uuid)[14] += device as u8;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetUuid(uuid: *mut [u8; 16], device: c_int) -> Code {
    cuDeviceGetUuid_v2(uuid, device)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut *mut c_void, device: c_int) -> Code {
    initialized(|card| {
        known(device)?;
        card.retained += 1;
        *context = CONTEXT;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> Code {
    initialized(|card| {
        known(device)?;
        card.retained = card.retained.checked_sub(1).ok_or(INVALID_CONTEXT)?;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxSetCurrent(context: *mut c_void) -> Code {
    initialized(|card| {
        if !context.is_null() && (context != CONTEXT || card.retained == 0) {
            return Err(INVALID_CONTEXT);
        }
        HAS_CONTEXT.set(!context.is_null());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCurrent(context: *mut *mut c_void) -> Code {
    initialized(|_| {
        *context = if HAS_CONTEXT.get() { CONTEXT } else { std::ptr::null_mut() };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> Code {
    in_context(|_| {
        *device = 0;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxSynchronize() -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuCtxSynchronize", true)?;
        card.run_all();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) -> Code {
    in_context(|_| {
        (*least, *greatest) = (0, -5);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Code {
    in_context(|card| {
        *total = total_memory();
        *free = *total - card.memory.used();
        Ok(())
    })
}
