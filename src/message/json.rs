//! JSON as text that has been checked once: payloads keep the very numbers that were sent.

mod mend;

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Valid JSON without white space between its tokens, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<str>);

/// The text is not JSON, or nested too deep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not valid JSON: {0}")]
pub struct JsonError(String);

impl Json {
    /// Checks the text (RFC 8259; at most 127 levels deep) and takes the white space out.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        IgnoredAny::deserialize(&mut reader)
            .and_then(|_| reader.end())
            .map_err(|error| JsonError(error.to_string()))?;
        let (mut tight, mut from) = (String::new(), 0);
        let depth = walk(text, |space| {
            tight.push_str(&text[from..space]);
            from = space + 1;
        });
        // `IgnoredAny` skips without a limit of depth; the tree that conditions need has one.
        check_depth(depth)?;
        if from == 0 {
            return Ok(Self(text.into()));
        }
        tight.push_str(&text[from..]);
        Ok(Self(tight.into()))
    }

    /// A text that is JSON without white space between its tokens by the way it was made, if it is
    /// not nested too deep: what is put into each other adds up.
    pub fn of_parts(text: String) -> Result<Self, JsonError> {
        check_depth(walk(&text, |_| {}))?;
        let made = Self(text.into());
        debug_assert!(Self::parse(&made.0).is_ok_and(|json| json == made));
        Ok(made)
    }

    /// The JSON text of a tree, which must be at most 127 levels deep: so is all that `serde_json`
    /// parsed, and all that the broker makes itself.
    pub fn from_value(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// A text that is JSON without white space between its tokens by the way it was made.
    pub fn from_made(text: String) -> Self {
        debug_assert!(Self::parse(&text).is_ok_and(|json| json.0 == text.as_str().into()));
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tree. Integers of 64 bits are exact in it; larger ones become doubles. What no tree can
    /// hold has the nearest in its place: see [`mend`].
    pub fn to_value(&self) -> Value {
        // The text was checked, depth included, when it was made.
        serde_json::from_str(&self.0)
            .or_else(|_| serde_json::from_str(&mend::mended(&self.0)))
            .unwrap_or_default()
    }
}

/// `serde_json` parses trees of at most 127 levels.
pub const DEPTH_MAX: usize = 127;

fn check_depth(depth: usize) -> Result<(), JsonError> {
    if depth > DEPTH_MAX {
        return Err(JsonError(format!("nested more than {DEPTH_MAX} levels deep")));
    }
    Ok(())
}

/// How deep a valid text is nested; `space` is told where white space is between tokens.
fn walk(text: &str, mut space: impl FnMut(usize)) -> usize {
    let (mut deepest, mut level, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            b' ' | b'\n' | b'\r' | b'\t' => space(at),
            _ => {}
        }
    }
    deepest
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let text = "[9223372036854775807,18446744073709551615,-9223372036854775808,1e2,1.10]";
        assert_eq!(Json::parse(text).unwrap().as_str(), text);
    }

    #[test]
    fn white_space_goes_but_not_inside_strings() {
        let json = Json::parse(" { \"a b\" : [ 1 , \"\\\" \\\\\" , \"\\\\\" ] } \n").unwrap();
        assert_eq!(json.as_str(), r#"{"a b":[1,"\" \\","\\"]}"#);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = format!("{}1{}", "[".repeat(128), "]".repeat(128));
        for bad in ["", "{", "nul", "{'a':1}", "1 2", "[1,]", "\u{feff}1", "NaN", deep.as_str()] {
            assert!(Json::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Json::parse(&deep[1..deep.len() - 1]).is_ok());
    }

    proptest! {
        #[test]
        fn minifying_keeps_the_value(text in "[ \\[\\]{}\":,a1\\\\\n]{0,24}") {
            if let Ok(json) = Json::parse(&text) {
                let value: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(json.to_value(), value);
            }
        }

        #[test]
        fn pretty_and_plain_are_the_same(key in "\\PC{0,8}", number: i64) {
            let value = json!({ key: [number, { "x": null }] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(Json::parse(&pretty).unwrap(), Json::from_value(&value));
        }
    }
}
