//! What a folder declares: definitions with their extensions, by name. What has no place in a
//! schema of payloads is refused here.

use std::collections::HashMap;

use apollo_compiler::ast::{
    Definition, Directive, EnumValueDefinition, FieldDefinition, ObjectTypeDefinition,
};
use apollo_compiler::{Name, Node};

use super::fault::Fault;
use super::ours::{self, Likeness};
use super::parse::{Parsed, Tree};
use super::refuse;
use super::source::Span;

/// What stands in the files that could be read.
pub(super) struct Folder<'a> {
    pub(super) parsed: &'a Parsed<'a>,
    pub(super) objects: Vec<ObjectType<'a>>,
    pub(super) enums: Vec<EnumType<'a>>,
    pub(super) scalars: Vec<ScalarType<'a>>,
    kinds: HashMap<String, Declared>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// With its place in the list of objects.
    Object(usize),
    Enum(usize),
    Scalar(usize),
    /// A scalar that is always there.
    BuiltIn,
    /// Refused, or in a file that could not be read: whatever is said of it would be a guess.
    Unclear,
}

#[derive(Debug, Clone, Copy)]
struct Declared {
    kind: Kind,
    span: Option<Span>,
}

/// An object type with its extensions.
pub(super) struct ObjectType<'a> {
    pub(super) name: &'a Name,
    pub(super) description: Option<&'a str>,
    pub(super) implements: Vec<&'a Name>,
    pub(super) directives: Vec<&'a Node<Directive>>,
    pub(super) fields: Vec<&'a Node<FieldDefinition>>,
}

/// An enum with its extensions.
pub(super) struct EnumType<'a> {
    pub(super) name: &'a Name,
    pub(super) description: Option<&'a str>,
    pub(super) directives: Vec<&'a Node<Directive>>,
    pub(super) values: Vec<&'a Node<EnumValueDefinition>>,
}

/// A scalar with its extensions.
pub(super) struct ScalarType<'a> {
    pub(super) name: &'a Name,
    pub(super) description: Option<&'a str>,
    pub(super) directives: Vec<&'a Node<Directive>>,
}

/// Collects what the files declare.
pub(super) fn gather<'a>(parsed: &'a Parsed<'a>, faults: &mut Vec<Fault>) -> Folder<'a> {
    let built_in =
        ours::scalars().map(|name| (name.to_owned(), Declared { kind: Kind::BuiltIn, span: None }));
    let mut folder = Folder {
        parsed,
        objects: Vec::new(),
        enums: Vec::new(),
        scalars: Vec::new(),
        kinds: built_in.collect(),
    };
    for (file, tree) in parsed.trees.iter().enumerate().filter(|(_, tree)| tree.is_broken) {
        folder.unclear(tree, &parsed.sources[file].text);
    }
    let readable = || parsed.trees.iter().filter(|tree| !tree.is_broken);
    for definition in readable().flat_map(|tree| &tree.document.definitions) {
        faults.extend(folder.define(definition));
    }
    for definition in readable().flat_map(|tree| &tree.document.definitions) {
        faults.extend(folder.extend(definition));
    }
    folder
}

impl<'a> Folder<'a> {
    /// What a name stands for.
    pub(super) fn kind(&self, name: &str) -> Option<Kind> {
        self.kinds.get(name).map(|declared| declared.kind)
    }

    /// An object type by its name.
    pub(super) fn object(&self, name: &str) -> Option<&ObjectType<'a>> {
        match self.kind(name)? {
            Kind::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    /// Where a name is declared.
    pub(super) fn declared_at(&self, name: &str) -> Option<Span> {
        self.kinds.get(name)?.span
    }

    /// The names that a field may have as its type.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.kinds.keys().map(String::as_str)
    }

    /// The place of a name.
    pub(super) fn span(&self, name: &Name) -> Option<Span> {
        self.parsed.span(name.location())
    }

    /// The names in a file that cannot be read, as far as one can see.
    fn unclear(&mut self, tree: &Tree, text: &str) {
        let is_declaring = |word: &str| {
            matches!(word, "type" | "enum" | "scalar" | "interface" | "union" | "input")
        };
        let is_mark = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let words: Vec<&str> = text.split(is_mark).filter(|word| !word.is_empty()).collect();
        let pairs = words.windows(2).filter(|pair| is_declaring(pair[0])).map(|pair| pair[1]);
        let parsed = tree.document.definitions.iter().filter_map(|one| Some(one.name()?.as_str()));
        for name in pairs.chain(parsed) {
            let unclear = Declared { kind: Kind::Unclear, span: None };
            self.kinds.entry(name.to_owned()).or_insert(unclear);
        }
    }

    fn define(&mut self, definition: &'a Definition) -> Option<Fault> {
        if definition.is_extension_definition() {
            return None;
        }
        match ours::likeness(definition) {
            Likeness::Copy => return None,
            Likeness::Other => return Some(refuse::changed_copy(self, definition)),
            Likeness::Foreign => {}
        }
        let refused = refuse::definition(self, definition);
        let Some(name) = definition.name().filter(|_| !is_nameless(definition)) else {
            return refused;
        };
        let span = self.span(name);
        if refused.is_some() {
            let unclear = Declared { kind: Kind::Unclear, span };
            self.kinds.entry(name.to_string()).or_insert(unclear);
            return refused;
        }
        if let Some(first) = self.kinds.get(name.as_str()) {
            let is_unclear = first.kind == Kind::Unclear && first.span.is_none();
            return (!is_unclear).then(|| refuse::second(name, span, first.span));
        }
        let kind = self.add(definition);
        self.kinds.insert(name.to_string(), Declared { kind, span });
        None
    }

    fn add(&mut self, definition: &'a Definition) -> Kind {
        match definition {
            Definition::ObjectTypeDefinition(object) => {
                self.objects.push(ObjectType::new(object));
                Kind::Object(self.objects.len() - 1)
            }
            Definition::EnumTypeDefinition(one) => {
                self.enums.push(EnumType {
                    name: &one.name,
                    description: one.description.as_deref(),
                    directives: one.directives.iter().collect(),
                    values: one.values.iter().collect(),
                });
                Kind::Enum(self.enums.len() - 1)
            }
            Definition::ScalarTypeDefinition(scalar) => {
                self.scalars.push(ScalarType {
                    name: &scalar.name,
                    description: scalar.description.as_deref(),
                    directives: scalar.directives.iter().collect(),
                });
                Kind::Scalar(self.scalars.len() - 1)
            }
            _ => Kind::Unclear,
        }
    }

    fn extend(&mut self, definition: &'a Definition) -> Option<Fault> {
        if !definition.is_extension_definition() {
            return None;
        }
        if let Some(fault) = refuse::extension(self, definition) {
            return Some(fault);
        }
        let name = definition.name()?;
        let Some(kind) = self.kind(name) else {
            return Some(refuse::extension_of_nothing(self, name));
        };
        match (kind, definition) {
            (Kind::Object(index), Definition::ObjectTypeExtension(extension)) => {
                let object = &mut self.objects[index];
                object.implements.extend(&extension.implements_interfaces);
                object.directives.extend(extension.directives.iter());
                object.fields.extend(&extension.fields);
            }
            (Kind::Enum(index), Definition::EnumTypeExtension(extension)) => {
                self.enums[index].directives.extend(extension.directives.iter());
                self.enums[index].values.extend(&extension.values);
            }
            (Kind::Scalar(index), Definition::ScalarTypeExtension(extension)) => {
                self.scalars[index].directives.extend(extension.directives.iter());
            }
            (Kind::Unclear, _) => {}
            _ => return Some(refuse::extension_of_another_kind(self, name, kind)),
        }
        None
    }
}

impl<'a> ObjectType<'a> {
    fn new(object: &'a ObjectTypeDefinition) -> Self {
        Self {
            name: &object.name,
            description: object.description.as_deref(),
            implements: object.implements_interfaces.iter().collect(),
            directives: object.directives.iter().collect(),
            fields: object.fields.iter().collect(),
        }
    }

    /// Has it a field of this name?
    pub(super) fn has_field(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// A directive that it has once.
    pub(super) fn directive(&self, name: &str) -> Option<&'a Node<Directive>> {
        self.directives.iter().copied().find(|directive| directive.name == name)
    }

    /// A field by its name.
    pub(super) fn field(&self, name: &str) -> Option<&'a Node<FieldDefinition>> {
        self.fields.iter().copied().find(|field| field.name == name)
    }

    /// The names of its fields.
    pub(super) fn field_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.fields.iter().map(|field| field.name.as_str())
    }
}

/// Does its name stand for something else than a type?
fn is_nameless(definition: &Definition) -> bool {
    matches!(
        definition,
        Definition::DirectiveDefinition(_)
            | Definition::OperationDefinition(_)
            | Definition::FragmentDefinition(_)
    )
}
