//! Frames of a result: what differs per subscriber in front, the shared bytes behind.

use crate::websocket::deflate::{put_stored, stored_bytes};
use crate::websocket::frame::{Opcode, server_header};

/// Bytes on the wire of a text frame with this payload.
pub(super) fn frame_bytes(payload: usize) -> usize {
    // RFC 6455, section 5.2: 7, 16 or 64 bits of length.
    let header = match payload {
        0..=125 => 2,
        126..=65_535 => 4,
        _ => 10,
    };
    header + payload
}

/// Writes a text frame of three parts.
pub(super) fn write_result(head: &[u8], body: &[u8], tail: &[u8], out: &mut Vec<u8>) {
    let length = head.len() + body.len() + tail.len();
    let (header, header_bytes) = server_header(Opcode::Text, false, length as u64);
    out.reserve(header_bytes + length);
    out.extend_from_slice(&header[..header_bytes]);
    out.extend_from_slice(head);
    out.extend_from_slice(body);
    out.extend_from_slice(tail);
}

/// Writes a compressed text frame of two parts, of which the first is not compressed yet.
pub(super) fn write_deflated(own: &[u8], deflated: &[u8], out: &mut Vec<u8>) {
    let length = stored_bytes(own.len()) + deflated.len();
    let (header, header_bytes) = server_header(Opcode::Text, true, length as u64);
    out.reserve(header_bytes + length);
    out.extend_from_slice(&header[..header_bytes]);
    put_stored(own, out);
    out.extend_from_slice(deflated);
}

/// A whole frame.
pub(super) fn frame(opcode: Opcode, payload: &[u8]) -> Box<[u8]> {
    let (header, header_bytes) = server_header(opcode, false, payload.len() as u64);
    let mut out = Vec::with_capacity(header_bytes + payload.len());
    out.extend_from_slice(&header[..header_bytes]);
    out.extend_from_slice(payload);
    out.into()
}
