//! JSON Pointers (RFC 6901), parsed once and then followed into many payloads.

use serde_json::Value;

/// A parsed pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer(Box<[Box<str>]>);

/// The text is no JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It has to be empty or begin with `/`.
    #[error("{0:?} is not a JSON Pointer; it must be \"\" or begin with \"/\", as in \"/bid\"")]
    NoSlash(String),
    /// `~` not followed by `0` or `1`.
    #[error("{0:?} is not a JSON Pointer; `~` must be written `~0` and `/` inside a key `~1`")]
    Escape(String),
}

impl Pointer {
    /// Parses the string form (RFC 6901, section 3).
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self(Box::default()));
        }
        let quoted = || text.chars().take(64).collect::<String>();
        let Some(rest) = text.strip_prefix('/') else {
            return Err(PointerError::NoSlash(quoted()));
        };
        let keys = rest.split('/').map(unescape).collect::<Option<_>>();
        keys.map(Self).ok_or_else(|| PointerError::Escape(quoted()))
    }

    /// A pointer along these keys, as they are.
    pub fn of(keys: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        Self(keys.into_iter().map(Into::into).collect())
    }

    /// The value that it points to (RFC 6901, section 4).
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, key| match value {
            Value::Object(fields) => fields.get(&**key),
            Value::Array(items) => items.get(index(key)?),
            _ => None,
        })
    }
}

fn unescape(key: &str) -> Option<Box<str>> {
    let mut parts = key.split('~');
    let mut plain = String::from(parts.next()?);
    for part in parts {
        let rest = part.strip_prefix('0').map(|rest| ('~', rest));
        let (character, rest) = rest.or_else(|| Some(('/', part.strip_prefix('1')?)))?;
        plain.push(character);
        plain.push_str(rest);
    }
    Some(plain.into())
}

/// Digits without leading zeros: `01` and `+1` name no element.
fn index(key: &str) -> Option<usize> {
    let digits = key.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = key == "0" || !key.starts_with('0');
    if digits && canonical { key.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 6901, section 5.
        let document = json!({
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5,
            "k\"l": 6, " ": 7, "m~n": 8
        });
        let table = [
            ("", document.clone()),
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/e^f", json!(3)),
            ("/g|h", json!(4)),
            ("/i\\j", json!(5)),
            ("/k\"l", json!(6)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ];
        for (pointer, value) in table {
            assert_eq!(Pointer::parse(pointer).unwrap().find(&document), Some(&value), "{pointer}");
        }
        for missing in ["/foo/2", "/foo/00", "/foo/-", "/foo/+0", "/x", "/foo/0/1"] {
            assert_eq!(Pointer::parse(missing).unwrap().find(&document), None, "{missing}");
        }
    }

    #[test]
    fn keys_need_no_escapes() {
        assert_eq!(Pointer::of(["a/b", "~", "0"]), Pointer::parse("/a~1b/~0/0").unwrap());
        assert_eq!(Pointer::of([""; 0]), Pointer::parse("").unwrap());
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for bad in ["foo", "#/a", "/a~", "/a~2", "/~~0"] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
    }
}
