//! How each server is talked to. Comes in: what a frame brought. Goes out: deliveries.

pub mod graphql;
pub mod mosquitto;
pub mod nats;
pub mod nchan;

#[cfg(test)]
use tidings::cli::bench::dialect::Heard;
use tidings::cli::bench::dialect::push_masked;
use tidings::websocket::frame::Opcode;

/// The one topic of a run.
pub const TOPIC: &str = "bench";

/// A client's frame of its own.
pub fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    push_masked(&mut frame, opcode, payload);
    frame
}

/// Cuts a stream whose units do not care for the frames that bring them. `unit` takes one off the
/// front and says how long it was, or that its end is still to come.
pub fn cut_stream(
    payload: &[u8],
    begun: &mut Vec<u8>,
    mut unit: impl FnMut(&[u8]) -> Result<Option<usize>, String>,
) -> Result<(), String> {
    let joined = (!begun.is_empty()).then(|| {
        begun.extend_from_slice(payload);
        std::mem::take(begun)
    });
    let mut rest = joined.as_deref().unwrap_or(payload);
    while let Some(used) = unit(rest)? {
        rest = &rest[used..];
    }
    begun.extend_from_slice(rest);
    Ok(())
}

/// What a dialect hears in frames, for its tests.
#[cfg(test)]
pub fn heard(
    dialect: &dyn tidings::cli::bench::dialect::Dialect,
    frames: &[&[u8]],
) -> Result<Vec<String>, String> {
    let (mut begun, mut all) = (Vec::new(), Vec::new());
    for payload in frames {
        dialect.cut(payload, &mut begun, &mut |heard| {
            all.push(match heard {
                Heard::Message(text) => String::from_utf8_lossy(text).into_owned(),
                Heard::Ask(frame) => format!("asks for {} bytes", frame.len()),
            });
        })?;
    }
    Ok(all)
}

/// Checks that the same is heard however the bytes are cut into frames.
#[cfg(test)]
pub fn check_all_cuts(dialect: &dyn tidings::cli::bench::dialect::Dialect, bytes: &[u8]) {
    let whole = heard(dialect, &[bytes]).unwrap();
    for first in 0..bytes.len() {
        for second in first..bytes.len() {
            let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(heard(dialect, &parts).unwrap(), whole, "cut at {first} and {second}");
        }
    }
}
