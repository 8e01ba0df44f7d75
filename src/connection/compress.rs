//! permessage-deflate on a connection: results are compressed once for all who get them, what is
//! for one connection alone when it is sent.

use std::cell::RefCell;

use super::outbox::Shared;
use super::shard::Shard;
use super::splice::frame;
use crate::plan::projection::FORMS;
use crate::protocol::{Dialect, NEXT_TAIL};
use crate::websocket::deflate::{Deflater, WindowBits, stored_bytes};
use crate::websocket::frame::{Opcode, server_header};

/// What was agreed upon with a client that takes compressed messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compression {
    pub(super) window: WindowBits,
    pub(super) dialect: Dialect,
}

// There is one form of a result for each window and dialect.
const _: () = assert!(2 * WindowBits::COUNT <= FORMS);

impl Compression {
    /// The part of a result that all share, compressed: the end of the head, the result and the
    /// tail. `None` when it goes out as it is.
    pub(super) fn deflated<'a>(
        self,
        shared: &'a Shared,
        deflater: &RefCell<Deflater>,
    ) -> Option<&'a [u8]> {
        shared.encoded.form(self.form(), |result| {
            let message = [self.dialect.next_words(), result, NEXT_TAIL].concat();
            let deflated = deflater.borrow_mut().deflate_if_shorter(&message, self.window);
            deflated.map(Vec::into_boxed_slice)
        })
    }

    fn form(self) -> usize {
        let first = match self.dialect {
            Dialect::TransportWs => 0,
            Dialect::LegacyWs => WindowBits::COUNT,
        };
        first + self.window.index()
    }

    /// The part of a head that is the subscriber's own.
    pub(super) fn own(self, head: &[u8]) -> &[u8] {
        &head[..head.len() - self.dialect.next_words().len()]
    }

    /// Bytes of the payload of a frame with this head before a compressed part.
    pub(super) fn payload_bytes(self, head: &[u8], deflated: &[u8]) -> usize {
        stored_bytes(self.own(head).len()) + deflated.len()
    }
}

impl Shard {
    /// A whole message for one connection alone.
    pub(super) fn message(
        &self,
        opcode: Opcode,
        message: &[u8],
        compression: Option<Compression>,
    ) -> Box<[u8]> {
        let deflated = compression.and_then(|compression| {
            self.deflater.borrow_mut().deflate_if_shorter(message, compression.window)
        });
        let Some(deflated) = deflated else { return frame(opcode, message) };
        let (header, header_bytes) = server_header(opcode, true, deflated.len() as u64);
        [&header[..header_bytes], &deflated].concat().into()
    }
}
