//! The folder of the schema: its files as text, and what they declare.

use std::fs;
use std::path::{Path, PathBuf};

use crate::graphql::sdl;
use crate::graphql::sdl::model::Model;
use crate::graphql::sdl::source::Source;

const ENDINGS: [&str; 2] = ["graphql", "graphqls"];
/// Links may lead in circles.
const DEPTH_MAX: usize = 16;
/// Somebody has named the wrong folder.
const FILES_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;

/// What the files of this folder declare; without one, nothing.
pub(super) fn model(folder: Option<&Path>) -> Result<Model, String> {
    match folder {
        Some(folder) => sdl::read(&sources(folder)?).map_err(|faults| faults.to_string()),
        None => Ok(Model::default()),
    }
}

/// What makes up a schema: its files, and all folders in which there may be some.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) files: Vec<PathBuf>,
    pub(super) folders: Vec<PathBuf>,
}

/// As much as can be found in a folder.
pub(super) fn contents(folder: &Path) -> Contents {
    let mut found = Contents::default();
    // Who wants the schema is told what is wrong, by `model`.
    let _ = collect(folder, DEPTH_MAX, &mut found);
    found
}

/// The files of a folder and of those in it, in the order of their names.
fn sources(folder: &Path) -> Result<Vec<Source>, String> {
    let name = folder.display();
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(format!("{name}: not a folder; name the one that it is in")),
        Err(error) => return Err(format!("{name}: cannot be read: {error}")),
    }
    let mut found = Contents::default();
    collect(folder, DEPTH_MAX, &mut found)?;
    let mut files = found.files;
    if files.is_empty() {
        return Err(format!("{name}: no file in it ends with .graphql or .graphqls"));
    }
    files.sort();
    let mut bytes = 0;
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        let source = source(&file)?;
        bytes += source.text.len();
        if bytes > BYTES_MAX {
            return Err(format!("{name}: its files have more than {BYTES_MAX} bytes"));
        }
        sources.push(source);
    }
    Ok(sources)
}

fn collect(folder: &Path, depth: usize, found: &mut Contents) -> Result<(), String> {
    found.folders.push(folder.to_owned());
    let unreadable = |error| format!("{}: cannot be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // Hidden files are those of editors; Kubernetes has a hidden copy of mounted folders.
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        let is_schema = path.extension().is_some_and(|ending| ENDINGS.iter().any(|e| ending == *e));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            if depth == 0 {
                return Err(format!("{}: {DEPTH_MAX} folders deep", path.display()));
            }
            collect(&path, depth - 1, found)?;
        } else if is_schema {
            found.files.push(path);
        }
        if found.files.len() > FILES_MAX {
            return Err(format!("{}: more than {FILES_MAX} files", folder.display()));
        }
    }
    Ok(())
}

fn source(file: &Path) -> Result<Source, String> {
    let name = file.display().to_string();
    let bytes = fs::read(file).map_err(|error| format!("{name}: cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        format!("{name}:{line}: not UTF-8; save the file in this encoding")
    })?;
    Ok(Source { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTE: &str = "type Quote @topic(name: \"quotes.{symbol}\") { symbol: ID! }";

    #[test]
    fn files_are_read_in_order_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let told = || model(Some(folder.path())).unwrap_err();
        assert!(told().ends_with(": no file in it ends with .graphql or .graphqls"), "{}", told());
        write("b.graphql", b"type Leg { price: Float! }");
        write("a/quote.graphqls", QUOTE.as_bytes());
        write(".c.graphql", b"not SDL");
        write("..data/b.graphql", b"not SDL");
        write("readme.md", b"not SDL");
        let model = model(Some(folder.path())).unwrap();
        let names: Vec<&str> = model.objects.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(names, ["Quote", "Leg"]);
        write("a/z.graphql", b"type A { a: Int }\n\xff");
        assert!(told().ends_with("a/z.graphql:2: not UTF-8; save the file in this encoding"));
        write("a/z.graphql", b"type A { a: Itn }");
        assert!(told().starts_with("error: cannot find the type `Itn`"), "{}", told());
    }

    #[test]
    fn what_is_no_folder_is_said() {
        assert_eq!(model(None), Ok(Model::default()));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(model(Some(file.path())).unwrap_err().contains("not a folder"));
        assert!(model(Some(Path::new("no/such"))).unwrap_err().starts_with("no/such: cannot be"));
    }

    #[cfg(unix)]
    #[test]
    fn links_may_lead_in_circles() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.graphql"), QUOTE).unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert!(model(Some(folder.path())).unwrap_err().contains("folders deep"));
    }
}
