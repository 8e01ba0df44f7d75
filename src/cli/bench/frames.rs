//! A server's frames, cut out of what was read; copied only where a read ended inside one.

use crate::websocket::frame::{Header, Opcode};

/// The frames of one connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The beginning of a frame whose rest is still to come.
    begun: Vec<u8>,
}

impl Frames {
    /// Hands every complete frame to `each`, as it stands on the wire without its header.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Frame<'_>),
    ) -> Result<(), String> {
        while !self.begun.is_empty() && !bytes.is_empty() {
            let wanted = match split(&self.begun)? {
                Split::Missing(wanted) => wanted,
                Split::Frame(..) => 0,
            };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.begun.extend_from_slice(part);
            bytes = rest;
            if let Split::Frame(frame, _) = split(&self.begun)? {
                each(frame);
                self.begun.clear();
            }
        }
        while !bytes.is_empty() {
            match split(bytes)? {
                Split::Frame(frame, rest) => {
                    each(frame);
                    bytes = rest;
                }
                Split::Missing(_) => {
                    self.begun.extend_from_slice(bytes);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A frame without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: Opcode,
    pub(super) is_deflated: bool,
    pub(super) payload: &'a [u8],
}

enum Split<'a> {
    /// A frame, and what follows it.
    Frame(Frame<'a>, &'a [u8]),
    /// At least so many bytes are missing.
    Missing(usize),
}

fn split(bytes: &[u8]) -> Result<Split<'_>, String> {
    let Some((header, used)) = Header::decode(bytes).map_err(|error| error.to_string())? else {
        return Ok(Split::Missing(1));
    };
    let whole = header.fin && header.opcode != Opcode::Continuation;
    let (opcode, is_deflated) = (header.opcode, header.rsv1);
    if !whole || header.mask.is_some() || is_deflated && opcode != Opcode::Text {
        return Err("a frame is fragmented or masked, or compressed and no text".into());
    }
    let end = usize::try_from(header.length).ok().and_then(|length| used.checked_add(length));
    let end = end.ok_or("a frame is longer than memory")?;
    Ok(match bytes.get(used..end) {
        Some(payload) => Split::Frame(Frame { opcode, is_deflated, payload }, &bytes[end..]),
        None => Split::Missing(end - bytes.len()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::websocket::frame::server_header;

    fn wire(frames: &[(Opcode, Vec<u8>)]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (opcode, payload) in frames {
            let (header, used) = server_header(*opcode, false, payload.len() as u64);
            wire.extend_from_slice(&header[..used]);
            wire.extend_from_slice(payload);
        }
        wire
    }

    fn read(parts: &[&[u8]]) -> Result<Vec<(Opcode, Vec<u8>)>, String> {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for part in parts {
            frames.feed(part, |frame| seen.push((frame.opcode, frame.payload.to_vec())))?;
        }
        Ok(seen)
    }

    #[test]
    fn byte_by_byte() {
        let frames = [
            (Opcode::Text, b"{}".to_vec()),
            (Opcode::Ping, Vec::new()),
            (Opcode::Text, vec![b'x'; 126]),
            (Opcode::Text, vec![b'y'; 65_536]),
            (Opcode::Close, vec![3, 232]),
        ];
        let wire = wire(&frames);
        let parts: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(read(&parts).unwrap(), frames);
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut(
            lengths in prop::collection::vec(0_usize..400, 1..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let frames: Vec<_> =
                lengths.iter().map(|length| (Opcode::Text, vec![b'z'; *length])).collect();
            let wire = wire(&frames);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&parts).unwrap(), frames);
        }
    }

    #[test]
    fn what_the_load_did_not_ask_for_is_an_error() {
        for bad in [[0x01, 0x00], [0xca, 0x00], [0x80, 0x00], [0x91, 0x00]] {
            assert!(read(&[&bad]).is_err(), "{bad:x?}");
        }
    }
}
