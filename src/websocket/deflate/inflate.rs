//! Messages of peers, inflated with a fresh window each and up to a limit.

use flate2::{Decompress, FlushDecompress, Status};

use super::{TAIL, used};
use crate::websocket::error::Error;

/// Follows every message: the four bytes that it was sent without, and an empty last block, which
/// is read as one only where the message ended between two blocks.
const END: [u8; 9] = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0x01, 0x00, 0x00, 0xff, 0xff];
/// How far back a block may refer.
const WINDOW_BYTES: usize = 32 << 10;
/// Some compressors end a flush with a last block (RFC 7692, section 7.2.3.4). Each costs us a
/// copy of the window, so a message may not be full of them.
const LAST_BLOCKS_MAX: usize = 64;
const FIRST_BYTES_MIN: usize = 256;
const FIRST_BYTES_MAX: usize = 64 << 10;

/// The state of a decompressor: about 50 KB, so there is one per thread.
///
/// It serves any number of peers, because they have been told not to refer to earlier messages.
#[derive(Debug)]
pub struct Inflater {
    decompress: Decompress,
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Inflater {
    /// An inflater with the largest window, which can read what was made for any.
    pub fn new() -> Self {
        Self { decompress: Decompress::new(false) }
    }

    /// One whole message; an error as soon as it is longer than `bytes_max`.
    pub fn inflate(&mut self, bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
        let mut output = Output { bytes: Vec::new(), step: 0, bytes_max };
        // Some clients send this for a second empty message in a row: their flush has no effect.
        if bytes.is_empty() {
            return Ok(output.bytes);
        }
        output.step = bytes.len().saturating_mul(4).clamp(FIRST_BYTES_MIN, FIRST_BYTES_MAX);
        self.decompress.reset(false);
        let mut input = bytes;
        let mut last_blocks = 0;
        while self.advance(&mut input, &mut output)? == Status::StreamEnd {
            if input.is_empty() {
                return Ok(output.bytes);
            }
            last_blocks += 1;
            if last_blocks > LAST_BLOCKS_MAX {
                return Err(Error::NotDeflate);
            }
            self.restart(&output.bytes)?;
        }
        let mut end = &END[..];
        match self.advance(&mut end, &mut output)? {
            Status::StreamEnd if end.is_empty() => Ok(output.bytes),
            Status::StreamEnd | Status::Ok | Status::BufError => Err(Error::NotDeflate),
        }
    }

    /// Inflates until the input is used up or a last block ended.
    fn advance(&mut self, input: &mut &[u8], output: &mut Output) -> Result<Status, Error> {
        loop {
            output.make_room();
            let before = self.decompress.total_in();
            let status = self
                .decompress
                .decompress_vec(input, &mut output.bytes, FlushDecompress::Sync)
                .map_err(|_| Error::NotDeflate)?;
            *input = &input[used(before, self.decompress.total_in())..];
            if output.bytes.len() > output.bytes_max {
                return Err(Error::TooBig { bytes_max: output.bytes_max });
            }
            // There was room, so no progress means that nothing is left.
            if status != Status::Ok || (input.is_empty() && output.has_room()) {
                return Ok(status);
            }
        }
    }

    /// Begins a new run of blocks that may refer to what the message holds so far.
    fn restart(&mut self, so_far: &[u8]) -> Result<(), Error> {
        let window = &so_far[so_far.len().saturating_sub(WINDOW_BYTES)..];
        self.decompress.reset(false);
        self.decompress.set_dictionary(window).map_err(|_| Error::NotDeflate)?;
        Ok(())
    }
}

/// Grows with what comes, never beyond one byte more than allowed.
struct Output {
    bytes: Vec<u8>,
    step: usize,
    bytes_max: usize,
}

impl Output {
    fn has_room(&self) -> bool {
        self.bytes.len() < self.bytes.capacity()
    }

    fn make_room(&mut self) {
        if !self.has_room() {
            let left = self.bytes_max.saturating_add(1) - self.bytes.len();
            self.bytes.reserve_exact(self.bytes.len().max(self.step).min(left));
        }
    }
}

#[cfg(test)]
mod tests;
