//! Mutations of inputs that depend on nothing but a number.

/// Bytes that programs tend to compare with.
const INTERESTING: [u8; 16] =
    [0, 1, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x88, 0xc0, 0xff, b'\n', b'"', b'\\', b'{', b'.', b'*'];
const INPUT_BYTES_MAX: usize = 4096;
const CHANGES_MAX: usize = 4;

/// A source of numbers (`SplitMix64`), and what is done with them.
pub(crate) struct Mutator(u64);

impl Mutator {
    /// The mutator of this number.
    pub(crate) fn new(number: u64) -> Self {
        Self(number.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// One of the inputs with a few changes.
    pub(crate) fn mutate(&mut self, inputs: &[Vec<u8>], words: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(inputs).clone();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut input, inputs, words);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>], words: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let some = at..(at + self.below(16)).min(input.len());
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.next().to_le_bytes()[0],
            2 if at < input.len() => input[at] = *self.pick(&INTERESTING),
            3 => drop(input.drain(some)),
            4 => {
                let copy = input[some].to_vec();
                let to = self.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
            5 => {
                let other = self.pick(inputs);
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            6 => {
                let line = self.line(inputs);
                drop(input.splice(at..at, line));
            }
            7 if !words.is_empty() => drop(input.splice(some, self.pick(words).clone())),
            _ if !words.is_empty() => drop(input.splice(at..at, self.pick(words).clone())),
            _ => input.insert(at, *self.pick(&INTERESTING)),
        }
    }

    /// A line of one of the inputs.
    fn line(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let lines: Vec<&[u8]> = self.pick(inputs).split_inclusive(|byte| *byte == b'\n').collect();
        if lines.is_empty() { Vec::new() } else { self.pick(&lines).to_vec() }
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The word of a line of a dictionary, as in `"\x81\\ "` with a name before it or without.
pub(crate) fn word(line: &str) -> Option<Vec<u8>> {
    let quoted = line.get(line.find('"')? + 1..)?.trim_end().strip_suffix('"')?;
    let (mut word, mut rest) = (Vec::new(), quoted.as_bytes());
    while let [first, after @ ..] = rest {
        let (byte, left) = match (first, after) {
            (b'\\', [b'x', high, low, left @ ..]) => {
                let digits = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?, left)
            }
            (b'\\', [byte @ (b'\\' | b'"'), left @ ..]) => (*byte, left),
            (b'\\' | b'"', _) => return None,
            (byte, left) => (*byte, left),
        };
        word.push(byte);
        rest = left;
    }
    Some(word)
}
