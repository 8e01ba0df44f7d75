//! Lines of an export, read and checked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::Error;
use crate::message::topic::Topic;

/// A message to import.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    /// Where it goes.
    pub(super) topic: String,
    /// With every digit.
    pub(super) payload: Box<RawValue>,
    #[serde(default)]
    pub(super) key: Option<String>,
    /// An object of strings.
    #[serde(default)]
    pub(super) headers: Option<Box<RawValue>>,
    /// Where it stood.
    #[serde(default)]
    pub(super) cursor: Option<String>,
    #[serde(default)]
    pub(super) snapshot: bool,
}

/// Numbered lines.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    number: u64,
    bytes: u64,
}

/// One line with its number, and how many bytes have been read with it.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) line: Line,
    pub(super) read: u64,
}

/// No message of a broker comes near it.
const LINE_BYTES_MAX: u64 = 64 << 20;

impl Lines {
    /// Of a file; `None`: of standard input.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let reader: Box<dyn BufRead + Send> = match path {
            None => Box::new(BufReader::new(io::stdin())),
            Some(path) => {
                let opened = File::open(path);
                let wrong = |error| Error::Failed(format!("{}: {error}", path.display()));
                Box::new(BufReader::new(opened.map_err(wrong)?))
            }
        };
        Ok(Self { reader, number: 0, bytes: 0 })
    }

    fn next_line(&mut self) -> Result<Option<Numbered>, String> {
        let mut text = Vec::new();
        loop {
            text.clear();
            let mut bounded = self.reader.by_ref().take(LINE_BYTES_MAX);
            let read = bounded.read_until(b'\n', &mut text);
            self.number += 1;
            self.bytes += read.map_err(|error| format!("cannot be read: {error}"))? as u64;
            if text.is_empty() {
                return Ok(None);
            }
            if text.len() as u64 == LINE_BYTES_MAX {
                return Err(format!("is longer than {LINE_BYTES_MAX} bytes"));
            }
            if !text.trim_ascii().is_empty() {
                let (number, read) = (self.number, self.bytes);
                return Ok(Some(Numbered { number, line: Line::parse(&text)?, read }));
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Numbered, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.next_line().transpose()?;
        Some(line.map_err(|reason| format!("line {}: {reason}", self.number)))
    }
}

impl Line {
    fn parse(text: &[u8]) -> Result<Self, String> {
        let line: Self = serde_json::from_slice(text).map_err(|error| {
            let text = error.to_string();
            // The line is one of the file, not of the text that was parsed.
            let (reason, place) = text.split_once(" at line 1 ").unwrap_or((&text, ""));
            format!("no message as `tidings export` writes it: {reason} ({place})")
        })?;
        let headers = line.headers.as_deref().map(RawValue::get);
        let headers = headers.map(serde_json::from_str::<HashMap<String, String>>).transpose();
        match Topic::parse(&line.topic) {
            Err(error) => Err(error.to_string()),
            Ok(_) if headers.is_err() => Err("headers are an object of strings".to_owned()),
            Ok(_) if line.payload.get() == "null" => Err("the payload is null".to_owned()),
            Ok(_) => Ok(line),
        }
    }

    /// Brokers tell the topic where no key was given.
    pub(super) fn own_key(&self) -> Option<&str> {
        self.key.as_deref().filter(|key| *key != self.topic)
    }

    /// Names the message wherever it is imported from again.
    pub(super) fn id(&self) -> Option<String> {
        self.cursor.as_ref().map(|cursor| format!("import:{cursor}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Vec<Result<Numbered, String>> {
        Lines { reader: Box::new(text.as_bytes()), number: 0, bytes: 0 }.collect()
    }

    #[test]
    fn lines_have_numbers_and_faults() {
        let text = "{\"topic\":\"a\",\"payload\":1.10,\"cursor\":\"x-1\",\"key\":\"a\"}\n\n\
                    {\"topic\":\"a\",\"payload\":[],\"key\":\"k\",\"snapshot\":true}";
        let lines: Vec<Numbered> = read(text).into_iter().map(Result::unwrap).collect();
        let [first, second] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((first.number, first.line.payload.get()), (1, "1.10"));
        assert_eq!((first.line.own_key(), first.line.id().as_deref()), (None, Some("import:x-1")));
        assert_eq!((second.number, second.line.own_key()), (3, Some("k")));
        assert_eq!((second.line.snapshot, second.line.id()), (true, None));
        assert_eq!(second.read, text.len() as u64);
        for (text, reason) in [
            ("\n{\"topic\":\"a\"}", "line 2: no message as `tidings export` writes it: missing"),
            ("{\"topic\":\"a..b\",\"payload\":1}", "line 1: "),
            ("{\"topic\":\"a\",\"payload\":null}", "line 1: the payload is null"),
            ("{\"topic\":\"a\",\"payload\":1,\"headers\":{\"x\":1}}", "line 1: headers"),
            ("{\"topic\":", "line 1: no message"),
        ] {
            let Some(Err(found)) = read(text).pop() else { panic!("{text}") };
            assert!(found.starts_with(reason), "{found}");
        }
    }
}
