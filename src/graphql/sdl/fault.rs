//! What is wrong with a schema, where, and what would be right; in the look of rustc.

use std::fmt;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::{Source, Span};

/// Who has more faults than this looks at the first ones first.
const SHOWN_MAX: usize = 50;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    title: String,
    place: Option<(Span, String)>,
    notes: Vec<(Span, String)>,
    help: Vec<String>,
}

/// All that is wrong with a folder, at least one fault, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    files: Vec<Source>,
    faults: Vec<Fault>,
}

impl Fault {
    /// What is wrong, in a few words.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), place: None, notes: Vec::new(), help: Vec::new() }
    }

    /// Where, and what is there.
    pub(super) fn at(self, span: impl Into<Option<Span>>, label: impl Into<String>) -> Self {
        Self { place: span.into().map(|span| (span, label.into())), ..self }
    }

    /// Another place that has to do with it.
    pub(super) fn note(mut self, span: impl Into<Option<Span>>, label: impl Into<String>) -> Self {
        self.notes.extend(span.into().map(|span| (span, label.into())));
        self
    }

    /// What would be right.
    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    fn span(&self) -> Option<Span> {
        self.place.as_ref().map(|(span, _)| *span)
    }

    fn render(&self, files: &[Source]) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(&self.title));
        if let Some((span, label)) = &self.place {
            let primary = annotation(AnnotationKind::Primary, *span, label);
            let here = self.notes.iter().filter(|(note, _)| note.file == span.file);
            let here = here.map(|(note, label)| annotation(AnnotationKind::Context, *note, label));
            group = group.element(snippet(files, span.file).annotation(primary).annotations(here));
            for (note, label) in self.notes.iter().filter(|(note, _)| note.file != span.file) {
                let there = annotation(AnnotationKind::Context, *note, label);
                group = group.element(snippet(files, note.file).annotation(there));
            }
        }
        group = group.elements(self.help.iter().map(|text| Level::HELP.message(text)));
        let is_command = |c: char| c.is_control() && c != '\n';
        // A terminal must not take a part of somebody's file for a command.
        Renderer::plain().render(&[group]).replace(is_command, "\u{fffd}")
    }
}

fn snippet(files: &[Source], file: usize) -> Snippet<'_, Annotation<'_>> {
    let Source { name, text } = &files[file];
    Snippet::source(text).path(name)
}

fn annotation(kind: AnnotationKind, span: Span, label: &str) -> Annotation<'_> {
    let label = Some(label).filter(|label| !label.is_empty());
    kind.span(span.start..span.end).label(label)
}

impl Faults {
    /// Puts faults in order; none is no error.
    pub(super) fn check(files: &[Source], mut faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(Fault::span);
        faults.dedup();
        Err(Self { files: files.to_vec(), faults })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.faults.len()
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.faults.iter().take(SHOWN_MAX);
        let shown: Vec<String> = shown.map(|fault| fault.render(&self.files)).collect();
        f.write_str(&shown.join("\n\n"))?;
        match self.faults.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            1 => f.write_str("\n\nand 1 more"),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}
