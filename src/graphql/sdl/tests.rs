use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Folders and files of `tests/sdl`.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdl").join(folder);
    let entries = fs::read_dir(&folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_none_or(|ending| ending == "graphql"));
    paths.sort();
    paths
}

/// A file, or the files of a folder in the order of their names.
fn sources(path: &Path) -> Vec<Source> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
    }
    let source = |file: &PathBuf| Source {
        name: format!("schema/{}", file.file_name().unwrap().to_str().unwrap()),
        text: fs::read_to_string(file).unwrap(),
    };
    files.iter().map(source).collect()
}

/// `TIDINGS_BLESS=1` writes what is said instead of comparing it.
#[test]
fn every_wrong_schema_is_told_what_is_wrong() {
    #[expect(clippy::disallowed_methods, reason = "chooses what the test does")]
    let is_blessed = std::env::var("TIDINGS_BLESS").is_ok();
    let cases = cases("wrong");
    assert!(cases.len() >= 24, "only {} cases", cases.len());
    let mut different = Vec::new();
    for path in cases {
        let said = match read(&sources(&path)) {
            Ok(model) => panic!("{}: accepted as {model:#?}", path.display()),
            Err(faults) => format!("{faults}\n"),
        };
        let expected = path.with_extension("txt");
        if is_blessed {
            fs::write(expected, said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            different.push(format!("{}:\n{said}", expected.display()));
        }
    }
    assert!(different.is_empty(), "\n{}", different.join("\n"));
}
