//! Walks over JSON text that has been checked and has no white space: a payload.
//!
//! Every payload is scanned for every typed feed. What is known of its text makes that cheap: a
//! value ends where its brackets do, and nothing can be wrong. Of a text that is no JSON some parts
//! come out, or none; the walk ends and does not panic.

use std::borrow::Cow;

/// A place in a text.
#[derive(Debug, Clone)]
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

/// A key of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    quoted: &'a str,
    has_escapes: bool,
}

impl<'a> Scan<'a> {
    /// The beginning of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The byte here, which says what kind of value begins.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next key of the object that begins here or that the last key belongs to; its value has
    /// to be taken before the next call. `None` is the end of the object, and goes past it.
    pub(super) fn key(&mut self) -> Option<Key<'a>> {
        let before = self.peek();
        self.at += 1;
        if before == Some(b'{') && self.peek() == Some(b'}') {
            self.at += 1;
            return None;
        }
        if !matches!(before, Some(b'{' | b',')) {
            return None;
        }
        let start = self.at;
        let has_escapes = self.skip_string();
        let quoted = self.since(start);
        // The colon.
        self.at += 1;
        Some(Key { quoted, has_escapes })
    }

    /// Is there another element in the list that begins here or that the last one belongs to? It
    /// has to be taken before the next call. The end of the list is gone past.
    pub(super) fn element(&mut self) -> bool {
        let before = self.peek();
        self.at += 1;
        let is_empty = before == Some(b'[') && self.peek() == Some(b']');
        self.at += usize::from(is_empty);
        matches!(before, Some(b'[' | b',')) && !is_empty
    }

    /// Takes the value that begins here.
    pub(super) fn value(&mut self) -> &'a str {
        let start = self.at;
        match self.peek() {
            Some(b'"') => drop(self.skip_string()),
            Some(b'{' | b'[') => self.skip_to_end(0),
            _ => {
                let ends = |word| equal(word, b',') | brackets(word);
                self.at = find(self.text.as_bytes(), start, ends);
            }
        }
        self.since(start)
    }

    /// Goes past the end of the object of which a value has just been taken.
    pub(super) fn leave(&mut self) {
        self.skip_to_end(1);
    }

    /// All of the text from here on.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Goes past the string that begins here. Has it escapes?
    fn skip_string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        self.at += 1;
        loop {
            self.at = find(bytes, self.at, |word| equal(word, b'"') | equal(word, b'\\'));
            if bytes.get(self.at) != Some(&b'\\') {
                self.at += 1;
                return has_escapes;
            }
            has_escapes = true;
            self.at += 2;
        }
    }

    /// Goes past the end of all brackets that are open, or of the one that opens here.
    fn skip_to_end(&mut self, mut open: usize) {
        let bytes = self.text.as_bytes();
        loop {
            self.at = find(bytes, self.at, |word| equal(word, b'"') | brackets(word));
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.skip_string();
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(_) => open = open.saturating_sub(1),
                None => return,
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }

    fn since(&self, start: usize) -> &'a str {
        // Both ends are at ASCII characters.
        self.text.get(start..self.at).unwrap_or_default()
    }
}

/// The place of the first byte from `at` on that is marked; the length, if there is none.
///
/// Eight bytes at a time: strings are most of a payload. `marks` sets the highest bit of each byte
/// it looks for, and may set it by mistake in the bytes after the first such.
fn find(bytes: &[u8], mut at: usize, marks: impl Fn(u64) -> u64) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((word, after)) = rest.split_first_chunk() {
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            return at + first(marked);
        }
        at += word.len();
        rest = after;
    }
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    let marked = marks(u64::from_le_bytes(word));
    // Zeros are nothing that anybody looks for.
    if marked == 0 { at + rest.len() } else { at + first(marked) }
}

fn first(marked: u64) -> usize {
    // At most 7.
    (marked.trailing_zeros() / 8) as usize
}

const LOW_BITS: u64 = u64::from_le_bytes([1; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Marks the bytes that are this one.
fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (LOW_BITS * u64::from(byte));
    zero.wrapping_sub(LOW_BITS) & !zero & HIGH_BITS
}

/// Marks brackets: `[`, `]`, `{` and `}` are alike but for three bits. So are `Y`, `y`, `_` and
/// DEL, which outside of strings are no JSON.
fn brackets(word: u64) -> u64 {
    equal(word & (LOW_BITS * 0b1101_1001), 0b0101_1001)
}

impl<'a> Key<'a> {
    /// What it says; `None` for half of a surrogate pair, which no `str` can hold.
    pub(super) fn name(self) -> Option<Cow<'a, str>> {
        if self.has_escapes { unescape(self.quoted) } else { inner(self.quoted).map(Cow::Borrowed) }
    }
}

/// What is between the quotes of a string.
fn inner(quoted: &str) -> Option<&str> {
    quoted.strip_prefix('"')?.strip_suffix('"')
}

/// What a string says; `None` for what is none, and for half of a surrogate pair.
pub(super) fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = inner(text)?;
    if inner.contains('\\') { unescape(text) } else { Some(Cow::Borrowed(inner)) }
}

fn unescape(quoted: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str(quoted).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[\\PC\"\\\\\\[\\]{}:,Yy_\u{7f}]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let key = "[\\PC\"\\\\\\]}:,]{0,20}";
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key, inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Reads all of a value by steps.
    fn read(scan: &mut Scan<'_>) -> Value {
        match scan.peek() {
            Some(b'{') => {
                let mut fields = serde_json::Map::new();
                while let Some(key) = scan.key() {
                    fields.insert(key.name().unwrap().into_owned(), read(scan));
                }
                Value::Object(fields)
            }
            Some(b'[') => {
                let mut items = Vec::new();
                while scan.element() {
                    items.push(read(scan));
                }
                Value::from(items)
            }
            Some(b'"') => Value::from(string(scan.value()).unwrap().into_owned()),
            _ => serde_json::from_str(scan.value()).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn a_walk_sees_what_a_tree_holds(value in values()) {
            let text = value.to_string();
            // Numbers may lose a digit on their way through text.
            let value: Value = serde_json::from_str(&text).unwrap();
            let mut scan = Scan::new(&text);
            prop_assert_eq!(read(&mut scan), value);
            prop_assert_eq!(scan.peek(), None);
        }

        #[test]
        fn values_are_taken_as_they_are(values in proptest::collection::vec(values(), 0..4)) {
            let texts: Vec<String> = values.iter().map(Value::to_string).collect();
            let list = format!("[{}]", texts.join(","));
            let (mut scan, mut taken) = (Scan::new(&list), Vec::new());
            while scan.element() {
                taken.push(scan.value());
            }
            prop_assert_eq!(taken, texts);
            prop_assert_eq!(scan.peek(), None);
            prop_assert_eq!(Scan::new(&list).value(), &list);
        }

        #[test]
        fn a_walk_over_anything_ends(text in "[\\[\\]{}:,\"\\\\a1ü ]{0,24}") {
            let mut scan = Scan::new(&text);
            for _ in 0..=text.len() {
                scan.value();
                while scan.key().is_some() {
                    scan.value();
                }
                while scan.element() {
                    scan.value();
                }
            }
        }
    }

    #[test]
    fn half_of_a_pair_is_no_character() {
        assert_eq!(string(r#""\ud83d""#), None);
        assert_eq!(string(r#""\ud83d\ude00""#).as_deref(), Some("\u{1f600}"));
        let mut scan = Scan::new(r#"{"\ude00":1,"a":2}"#);
        assert_eq!(scan.key().unwrap().name(), None);
        assert_eq!(scan.value(), "1");
        assert_eq!(scan.key().unwrap().name().as_deref(), Some("a"));
    }
}
