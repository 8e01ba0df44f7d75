use super::*;
use crate::websocket::deflate::inflate::Inflater;

#[test]
fn what_is_shared_is_inflated_behind_any_prefix() {
    let body = "\"value\":1,".repeat(100);
    let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
    for bits in 8..=15 {
        let shared =
            deflater.deflate_if_shorter(body.as_bytes(), WindowBits::nearest(bits)).unwrap();
        for prefix in ["", "x", &"long ".repeat(30_000)] {
            let mut payload = Vec::new();
            put_stored(prefix.as_bytes(), &mut payload);
            assert_eq!(payload.len(), stored_bytes(prefix.len()));
            payload.extend_from_slice(&shared);
            let message = inflater.inflate(&payload, 1 << 20).unwrap();
            assert_eq!(message, format!("{prefix}{body}").into_bytes());
        }
    }
}
