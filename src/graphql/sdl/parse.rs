//! Text becomes syntax trees; a file that is broken hides nothing of the others.

use std::collections::HashMap;

use apollo_compiler::ast::Document;
use apollo_compiler::parser::{FileId, SourceSpan};

use super::fault::Fault;
use super::source::{Source, Span};
use super::syntax;

/// The files of a folder as syntax trees.
pub(super) struct Parsed<'a> {
    /// As they were given.
    pub(super) sources: &'a [Source],
    /// One for each file.
    pub(super) trees: Vec<Tree>,
    files: HashMap<FileId, usize>,
}

/// A file.
pub(super) struct Tree {
    /// What could be read.
    pub(super) document: Document,
    /// Is there more that could not?
    pub(super) is_broken: bool,
}

/// Parses every file; what is no SDL becomes faults.
pub(super) fn parse<'a>(sources: &'a [Source], faults: &mut Vec<Fault>) -> Parsed<'a> {
    let mut parsed = Parsed { sources, trees: Vec::new(), files: HashMap::new() };
    for (file, source) in sources.iter().enumerate() {
        let (document, errors) = match Document::parse(source.text.as_str(), &source.name) {
            Ok(document) => (document, Vec::new()),
            Err(broken) => {
                let errors = syntax::faults(file, &source.text, &broken.errors);
                (broken.partial, errors)
            }
        };
        parsed.files.extend(document.sources.keys().map(|id| (*id, file)));
        parsed.trees.push(Tree { document, is_broken: !errors.is_empty() });
        faults.extend(errors);
    }
    parsed
}

impl Parsed<'_> {
    /// The place of something that was parsed, without the blanks behind it.
    pub(super) fn span(&self, location: Option<SourceSpan>) -> Option<Span> {
        let location = location?;
        let file = *self.files.get(&location.file_id())?;
        let start = location.offset();
        let text = self.sources[file].text.get(start..location.end_offset())?;
        let length = text.trim_end_matches(|c: char| c.is_whitespace() || c == ',').len();
        Some(Span { file, start, end: start + length })
    }

    /// The text of a place.
    pub(super) fn text(&self, span: Span) -> &str {
        self.sources[span.file].text.get(span.start..span.end).unwrap_or_default()
    }

    /// Is any file broken? What is missing may stand in it.
    pub(super) fn is_broken(&self) -> bool {
        self.trees.iter().any(|tree| tree.is_broken)
    }
}
