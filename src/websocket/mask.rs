//! Masking (RFC 6455, section 5.3).

/// Masks or unmasks `bytes` in place; `offset` is how much of the frame's payload came before.
pub fn apply(mut key: [u8; 4], offset: usize, bytes: &mut [u8]) {
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 6455, section 5.7: a masked "Hello".
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut bytes);
        assert_eq!(&bytes, b"Hello");
    }

    proptest! {
        #[test]
        fn it_is_the_plain_loop(key: [u8; 4], offset in 0_usize..9, bytes: Vec<u8>) {
            let plain = bytes.iter().enumerate().map(|(at, byte)| byte ^ key[(at + offset) % 4]);
            let expected: Vec<u8> = plain.collect();
            let mut masked = bytes;
            apply(key, offset, &mut masked);
            prop_assert_eq!(masked, expected);
        }
    }
}
