//! The payload of close frames (RFC 6455, sections 5.5.1 and 7.4).

use super::error::Error;

/// Most bytes of a reason: a control frame carries 125 bytes, the code takes two of them.
pub const REASON_BYTES_MAX: usize = 123;

/// Whether a code may travel in a close frame: those of RFC 6455, section 7.4.1, the ones
/// registered since (1012 to 1014), and the ranges of libraries and applications.
pub const fn may_travel(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The payload of a close frame; a reason that is too long is cut between two characters.
pub fn payload(code: u16, reason: &str) -> Vec<u8> {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    let mut payload = Vec::with_capacity(2 + end);
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    payload
}

/// Code and reason of a close frame; no code if its payload is empty.
pub fn parse(payload: &[u8]) -> Result<(Option<u16>, &str), Error> {
    match payload {
        [] => Ok((None, "")),
        [_] => Err(Error::HalfCloseCode),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_travel(code) {
                return Err(Error::CloseCode(code));
            }
            let reason = std::str::from_utf8(reason).map_err(|_| Error::NotUtf8)?;
            Ok((Some(code), reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_travel() {
        let good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
        for code in good.into_iter().chain([3000, 3999, 4000, 4400, 4999]) {
            assert_eq!(parse(&payload(code, "x")), Ok((Some(code), "x")));
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert_eq!(parse(&payload(code, "")), Err(Error::CloseCode(code)));
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let table = [("a".repeat(123), 123), ("a".repeat(200), 123), ("ä".repeat(100), 122)];
        for (reason, kept) in table {
            let payload = payload(1000, &reason);
            assert_eq!(parse(&payload), Ok((Some(1000), &reason[..kept])));
        }
    }

    #[test]
    fn what_is_no_close_payload() {
        assert_eq!(parse(b""), Ok((None, "")));
        assert_eq!(parse(b"\x03"), Err(Error::HalfCloseCode));
        assert_eq!(parse(b"\x03\xe8\xff"), Err(Error::NotUtf8));
    }
}
