//! permessage-deflate (RFC 7692) for bytes that many share: compressed once, on a window of their
//! own, and sent behind whatever differs.
//!
//! A payload is `put_stored(prefix)` and then what [`Deflater::deflate`] returned. Stored blocks
//! end on whole bytes and the shared part refers to nothing before itself, so what a peer's window
//! holds does not matter, and one result fits everybody whose window is at least as large.

pub mod inflate;
pub mod offer;

use std::array;

use flate2::{Compress, Compression, FlushCompress};

/// Shorter messages stay plain: the few bytes saved vanish beside the headers of TCP and IP.
pub const DEFLATE_BYTES_MIN: usize = 256;

/// What a sync flush ends with; left out of every message (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// 9 was tried: it takes longer and saves nothing on messages of some kilobytes.
const LEVEL: u32 = 6;
/// A stored block has 16 bits for its length (RFC 1951, section 3.2.4).
const STORED_BYTES_MAX: usize = 0xffff;
/// Three bits of header filled up to a byte, the length, its complement.
const STORED_HEAD_BYTES: usize = 5;

/// The window that a compressor may use, as the base-2 logarithm of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 512 bytes.
    pub const MIN: Self = Self(9);
    /// 32 KiB: what holds where nothing was agreed.
    pub const MAX: Self = Self(15);
    /// How many there are.
    pub const COUNT: usize = (Self::MAX.0 - Self::MIN.0) as usize + 1;

    /// The nearest there is. A window of 8 bits is served by one of 9: zlib's distances stay 262
    /// bytes below the window, and 512 - 262 is less than 256.
    pub const fn nearest(bits: u8) -> Self {
        match bits {
            0..=9 => Self::MIN,
            10..=14 => Self(bits),
            15.. => Self::MAX,
        }
    }

    /// The logarithm, 9 to 15.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The place in a table of [`WindowBits::COUNT`] entries.
    pub const fn index(self) -> usize {
        (self.0 - Self::MIN.0) as usize
    }
}

/// The state of a compressor: about 300 KB for each window in use, so there is one per thread.
#[derive(Debug, Default)]
pub struct Deflater {
    by_window: [Option<Box<Compress>>; WindowBits::COUNT],
}

impl Deflater {
    /// A deflater that has allocated nothing yet.
    pub fn new() -> Self {
        Self { by_window: array::from_fn(|_| None) }
    }

    /// The bytes compressed, to be sent as a message or as the end of one.
    ///
    /// No block is marked as the last one, for which some clients are not prepared. The result is
    /// never empty: an empty message breaks the one after it, in all clients tried.
    pub fn deflate(&mut self, bytes: &[u8], window: WindowBits) -> Vec<u8> {
        let compress = self.by_window[window.index()].get_or_insert_with(|| {
            let level = Compression::new(LEVEL);
            Box::new(Compress::new_with_window_bits(level, false, window.bits()))
        });
        compress.reset();
        let step_bytes = bytes.len() / 2 + 64;
        let mut deflated = Vec::with_capacity(step_bytes);
        let mut rest = bytes;
        // Room that is left over tells that the flush is complete.
        while !rest.is_empty() || deflated.len() == deflated.capacity() || deflated.is_empty() {
            deflated.reserve(step_bytes);
            let before = compress.total_in();
            #[expect(clippy::expect_used, reason = "errors are wrong states, none after a reset")]
            compress.compress_vec(rest, &mut deflated, FlushCompress::Sync).expect("a valid state");
            rest = &rest[used(before, compress.total_in())..];
        }
        debug_assert!(deflated.ends_with(&TAIL));
        deflated.truncate(deflated.len() - TAIL.len());
        deflated.shrink_to_fit();
        deflated
    }

    /// [`Deflater::deflate`] where it saves more than a stored block in front of it costs.
    pub fn deflate_if_shorter(&mut self, bytes: &[u8], window: WindowBits) -> Option<Vec<u8>> {
        if bytes.len() < DEFLATE_BYTES_MIN {
            return None;
        }
        let deflated = self.deflate(bytes, window);
        (STORED_HEAD_BYTES + deflated.len() < bytes.len()).then_some(deflated)
    }
}

/// How many bytes of a slice were used between two totals.
fn used(before: u64, after: u64) -> usize {
    // The difference is at most the length of the slice.
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

/// Writes `prefix` uncompressed, in a form that compressed bytes may follow, and have to.
pub fn put_stored(prefix: &[u8], out: &mut Vec<u8>) {
    out.reserve(stored_bytes(prefix.len()));
    for part in prefix.chunks(STORED_BYTES_MAX) {
        let [low, high, ..] = part.len().to_le_bytes();
        out.extend_from_slice(&[0, low, high, !low, !high]);
        out.extend_from_slice(part);
    }
}

/// How many bytes [`put_stored`] writes for a prefix of this length.
pub const fn stored_bytes(prefix_bytes: usize) -> usize {
    prefix_bytes + STORED_HEAD_BYTES * prefix_bytes.div_ceil(STORED_BYTES_MAX)
}

#[cfg(test)]
mod tests;
