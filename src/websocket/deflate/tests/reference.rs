//! DEFLATE read bit by bit (RFC 1951), slowly, by code that shares nothing with the library: it
//! holds every distance to the window exactly, and knows which blocks there were.

use std::iter;

/// A receiver that keeps what it received for the next message.
pub(super) struct Reference {
    window_bytes: usize,
    history: Vec<u8>,
}

const LENGTH_BASE: [usize; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const CODE_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Reference {
    pub(super) fn new(window_bits: u8) -> Self {
        Self { window_bytes: 1 << window_bits, history: Vec::new() }
    }

    /// One message, without the four bytes that end it. Panics at whatever is wrong with it.
    pub(super) fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let bytes = [payload, &super::TAIL].concat();
        let mut bits = Bits { bytes: &bytes, at: 0 };
        let start = self.history.len();
        while bits.at < bytes.len() * 8 {
            assert_eq!(bits.take(1), 0, "no block may be marked as the last one");
            match bits.take(2) {
                0 => self.stored(&mut bits),
                1 => self.compressed(&mut bits, &fixed_literals(), &Huffman::new(&[5; 30])),
                2 => {
                    let (literals, distances) = dynamic(&mut bits);
                    self.compressed(&mut bits, &literals, &distances);
                }
                _ => panic!("block type 3"),
            }
        }
        self.history[start..].to_vec()
    }

    fn stored(&mut self, bits: &mut Bits<'_>) {
        bits.at = bits.at.next_multiple_of(8);
        let length = bits.take(16);
        assert_eq!(bits.take(16), !length & 0xffff);
        self.history.extend((0..length).map(|_| u8::try_from(bits.take(8)).unwrap()));
    }

    fn compressed(&mut self, bits: &mut Bits<'_>, literals: &Huffman, distances: &Huffman) {
        loop {
            let symbol = literals.symbol(bits);
            match symbol {
                0..256 => self.history.push(u8::try_from(symbol).unwrap()),
                256 => return,
                _ => {
                    let code = symbol - 257;
                    let length = LENGTH_BASE[code] + bits.take(LENGTH_EXTRA[code]);
                    let code = distances.symbol(bits);
                    let extra = (code / 2).saturating_sub(1);
                    let base = if code < 4 { code + 1 } else { ((2 + code % 2) << extra) + 1 };
                    let distance = base + bits.take(u8::try_from(extra).unwrap());
                    assert!(distance <= self.window_bytes, "{distance} > {}", self.window_bytes);
                    for _ in 0..length {
                        self.history.push(self.history[self.history.len() - distance]);
                    }
                }
            }
        }
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// A number, its lowest bit first.
    fn take(&mut self, count: u8) -> usize {
        (0..count).fold(0, |number, place| {
            let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            number | usize::from(bit) << place
        })
    }
}

/// A canonical code (RFC 1951, section 3.2.2).
struct Huffman {
    /// How many codes there are of each length.
    counts: [usize; 16],
    /// The symbols in the order of their codes.
    symbols: Vec<usize>,
}

impl Huffman {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().filter(|length| **length > 0).for_each(|length| counts[*length] += 1);
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|at| lengths[*at] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        Self { counts, symbols }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code = code << 1 | bits.take(1);
            first <<= 1;
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first += count;
        }
        panic!("a code without a symbol");
    }
}

fn fixed_literals() -> Huffman {
    let lengths = [(8, 144), (9, 112), (7, 24), (8, 8)];
    let lengths = lengths.into_iter().flat_map(|(length, count)| iter::repeat_n(length, count));
    Huffman::new(&lengths.collect::<Vec<_>>())
}

/// The codes that a block brings itself (RFC 1951, section 3.2.7).
fn dynamic(bits: &mut Bits<'_>) -> (Huffman, Huffman) {
    let (literals, distances) = (bits.take(5) + 257, bits.take(5) + 1);
    let mut code_lengths = [0; 19];
    let codes = bits.take(4) + 4;
    for place in &CODE_ORDER[..codes] {
        code_lengths[*place] = bits.take(3);
    }
    let code = Huffman::new(&code_lengths);
    let mut lengths: Vec<usize> = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.symbol(bits) {
            16 => (*lengths.last().unwrap(), 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            length => (length, 1),
        };
        lengths.extend(iter::repeat_n(length, times));
    }
    let (literals, distances) = lengths.split_at(literals);
    (Huffman::new(literals), Huffman::new(distances))
}
