//! Configurations: any text gives a `Config` or faults that name their places, and a key means the
//! same wherever it is given.

use std::cell::RefCell;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use tidings::config::fault::{Fault, Faults, Place};
use tidings::config::keys::KEYS;
use tidings::config::{Config, Flag};
use tidings::message::units;

thread_local! {
    /// The file that is read: there is no other way in for TOML.
    static FILE: RefCell<NamedTempFile> = RefCell::new(new_file());
}

/// One input: a `tidings.toml`, and after a line that is just `---` settings, as in `key=value`.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (toml, settings) = text.split_once("\n---\n").unwrap_or((&text, ""));
    FILE.with_borrow_mut(|file| {
        write(file, toml.as_bytes());
        check_file(file.path(), toml);
    });
    settings.lines().take(4).filter_map(|line| line.split_once('=')).for_each(check_setting);
}

fn check_file(file: &Path, text: &str) {
    let loaded = Config::load(Some(file), [], Vec::new());
    assert_eq!(loaded, Config::load(Some(file), [], Vec::new()));
    let Err(faults) = loaded else { return };
    assert!(!faults.0.is_empty() && !faults.are_usage() && !faults.to_string().is_empty());
    for place in faults.0.iter().filter_map(place) {
        let Place::File { line, column, .. } = place else { panic!("not in the file: {place}") };
        let at = text.split('\n').nth(line - 1).unwrap_or_else(|| panic!("no line {line}"));
        assert!(*column <= at.chars().count() + 1, "{place}: the line has fewer columns");
    }
}

fn place(fault: &Fault) -> Option<&Place> {
    match fault {
        Fault::Syntax { place, .. }
        | Fault::UnknownKey { place, .. }
        | Fault::UnknownVariable { place, .. }
        | Fault::Value { place, .. }
        | Fault::NoMatch { place } => Some(place),
        Fault::Unreadable { .. } | Fault::Exposed { .. } | Fault::HalfTls { .. } => None,
    }
}

/// A key as a flag and as a variable: both set it to the same, or both do not.
fn check_setting((name, value): (&str, &str)) {
    units::parse_duration(value);
    units::parse_size(value);
    let by_flag = by_flag(name, value);
    let Some(key) = KEYS.iter().find(|key| key.name == name) else {
        assert!(by_flag.is_err(), "there is no key {name}");
        let variable = (name.to_owned(), value.to_owned());
        return drop(Config::load(None, [variable], Vec::new()));
    };
    let by_variable = Config::load(None, [(key.variable(), value.to_owned())], Vec::new());
    match (by_flag, by_variable) {
        (Ok(flag), Ok(variable)) => assert_eq!(flag, variable),
        (Err(flag), Err(variable)) => assert_eq!(flag.0.len(), variable.0.len()),
        (flag, variable) => panic!("{name} = {value}: {flag:?} but {variable:?}"),
    }
}

fn by_flag(name: &str, value: &str) -> Result<Config, Faults> {
    let (place, key) = (Place::Set(name.to_owned()), name.to_owned());
    Config::load(None, [], vec![Flag { place, key, value: value.to_owned() }])
}

fn new_file() -> NamedTempFile {
    NamedTempFile::new().unwrap_or_else(|error| panic!("no file to write to: {error}"))
}

fn write(file: &mut NamedTempFile, bytes: &[u8]) {
    let file = file.as_file_mut();
    let written = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(bytes));
    written.unwrap_or_else(|error| panic!("the file cannot be written: {error}"));
}
