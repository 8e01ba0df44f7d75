//! JSON as text that has been checked once: payloads keep the very numbers that were sent.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Valid JSON without white space between its tokens, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<str>);

/// The text is not JSON, or nested too deep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not valid JSON: {0}")]
pub struct JsonError(String);

impl Json {
    /// Checks the text (RFC 8259; at most 127 levels deep, no number beyond those of 64-bit
    /// doubles) and takes the white space out.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        Checked::deserialize(&mut reader)
            .and_then(|Checked| reader.end())
            .map_err(|error| JsonError(error.to_string()))?;
        Ok(Self::minify(text))
    }

    /// The JSON text of a tree, which must be at most 127 levels deep: so is all that `serde_json`
    /// parsed, and all that the broker makes itself.
    pub fn from_value(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tree. Integers of 64 bits are exact in it; larger ones become doubles.
    pub fn to_value(&self) -> Value {
        // Cannot fail: the text was checked, depth included, when it was made.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    fn minify(text: &str) -> Self {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        if !text.as_bytes().iter().any(is_space) {
            return Self(text.into());
        }
        let (mut in_string, mut escaped) = (false, false);
        let kept = text.chars().filter(|&character| {
            if in_string {
                let ends = character == '"' && !escaped;
                escaped = character == '\\' && !escaped;
                in_string = !ends;
                return true;
            }
            in_string = character == '"';
            !matches!(character, ' ' | '\n' | '\r' | '\t')
        });
        Self(kept.collect::<String>().into())
    }
}

/// Reads all that a tree is made from and makes none: what passes has a tree. `IgnoredAny` takes
/// more, such as deeper nesting and `1e999`.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while let Some(Self) = items.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while let Some((Self, Self)) = members.next_entry()? {}
        Ok(self)
    }
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
        for bad in
            ["", "{", "nul", "{'a':1}", "1 2", "[1,]", "\u{feff}1", "NaN", "1e999", deep.as_str()]
        {
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
