//! Pinned memory on the way to a card: copies from it run beside the host's work, and do not wait for what the card still does.

use std::ffi::c_void;

use cudarc::driver::{result, sys};

/// Pieces that are on their way at the same time.
const PIECES: usize = 4;

/// Pieces have this size at least, so that growing ends soon, and at most: more goes in several.
const SMALLEST: usize = 64 << 10;
const LARGEST: usize = 16 << 20;

/// Bytes for the card, and the event that says when they have left.
struct Piece {
    place: *mut c_void,
    bytes: usize,
    left: sys::CUevent,
}

/// Pieces of pinned memory in turn.
#[derive(Default)]
pub(super) struct Staging {
    pieces: Vec<Piece>,
    next: usize,
}

// SAFETY: pinned memory and events belong to the context, not to a thread.
unsafe impl Send for Staging {}

impl Staging {
    /// Sends bytes to an address of the card, behind all that was given to the stream; the bytes are free when the call returns.
    ///
    /// # Safety
    /// The context is current, the stream is its, and the card has as many bytes at the address.
    pub unsafe fn send(
        &mut self,
        bytes: &[u8],
        address: u64,
        stream: sys::CUstream,
    ) -> Result<(), result::DriverError> {
        for (number, bytes) in bytes.chunks(LARGEST).enumerate() {
            let address = address + (number * LARGEST) as u64;
            // SAFETY: the context is current, and the stream is its (the caller's promise).
            let piece = unsafe { self.piece(bytes.len()) }?;
            // SAFETY: the piece is free and large enough, and pinned memory is no part of `bytes`. It is not written again before its event.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), piece.place.cast::<u8>(), bytes.len());
                let from = std::slice::from_raw_parts(piece.place.cast::<u8>(), bytes.len());
                result::memcpy_htod_async(address, from, stream)?;
                result::event::record(piece.left, stream)?;
            }
        }
        Ok(())
    }

    /// The next piece, free and of this size at least.
    ///
    /// # Safety
    /// The context is current.
    unsafe fn piece(&mut self, bytes: usize) -> Result<&Piece, result::DriverError> {
        let place = self.next;
        self.next = (self.next + 1) % PIECES;
        if place < self.pieces.len() {
            // SAFETY: the event is alive.
            unsafe { result::event::synchronize(self.pieces[place].left) }?;
        } else {
            let left = result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)?;
            self.pieces.push(Piece { place: std::ptr::null_mut(), bytes: 0, left });
        }
        let piece = &mut self.pieces[place];
        if piece.bytes < bytes {
            let size = bytes.next_power_of_two().max(SMALLEST);
            // SAFETY: nothing reads the old memory any more: its event has passed.
            unsafe {
                if !piece.place.is_null() {
                    result::free_host(piece.place)?;
                    (piece.place, piece.bytes) = (std::ptr::null_mut(), 0);
                }
                piece.place = result::malloc_host(size, 0)?;
            }
            piece.bytes = size;
        }
        Ok(piece)
    }
}
