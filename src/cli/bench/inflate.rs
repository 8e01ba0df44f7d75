//! Compressed messages of the load. Subscribers of one topic get the same bytes: each message is
//! inflated once and then known by them, so that the load does not become the limit.

use rustc_hash::FxHashMap;

use crate::websocket::deflate::inflate::Inflater;

/// Messages that were inflated lately.
#[derive(Debug, Default)]
pub(super) struct Inflated {
    inflater: Inflater,
    known: FxHashMap<Box<[u8]>, Box<[u8]>>,
}

/// More than are under way at once.
const KNOWN_MAX: usize = 1024;
const MESSAGE_BYTES_MAX: usize = 64 << 20;

impl Inflated {
    /// The text of a compressed message.
    pub(super) fn text(&mut self, payload: &[u8]) -> Result<&[u8], String> {
        if !self.known.contains_key(payload) {
            let text = self.inflater.inflate(payload, MESSAGE_BYTES_MAX);
            let text = text.map_err(|error| error.to_string())?;
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(payload.into(), text.into());
        }
        Ok(self.known.get(payload).map_or(&[], |text| text))
    }
}
