//! Names that would be derived twice, or are there already.

use std::collections::HashMap;

use async_graphql::parser::types::BaseType;

use super::fault::Fault;
use super::gather::Folder;
use super::names;
use super::ours::{self, Root};
use super::source::Span;
use super::topic::Found;
use super::{derive, lower};

const RENAME: &str = "rename one of them";

/// The type that a derived one comes from; those that are always there stand nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    name: String,
    span: Option<Span>,
}

/// Derived types, and what they come from.
#[derive(Default)]
struct Derived {
    owners: HashMap<String, Owner>,
    faults: Vec<Fault>,
}

/// Derived types have names of their own.
pub(super) fn types(folder: &Folder<'_>, faults: &mut Vec<Fault>) {
    let objects = folder.objects.iter().map(|object| object.name);
    let leaves = folder.enums.iter().map(|one| one.name);
    let leaves = leaves.chain(folder.scalars.iter().map(|scalar| scalar.name));
    let owner = |name: &str| Owner { name: name.to_owned(), span: folder.declared_at(name) };
    let mut derived = Derived::default();
    for name in ours::scalars() {
        derived.add(format!("{name}Filter"), owner(name));
    }
    for name in objects.clone() {
        for ty in names::of_object(name) {
            derived.add(ty, owner(name));
        }
    }
    for name in leaves.clone() {
        derived.add(format!("{name}Filter"), owner(name));
    }
    for field in folder.objects.iter().flat_map(|object| &object.fields) {
        let mut ty = lower::ty(&field.ty);
        let item = owner(derive::innermost(&ty));
        while let BaseType::List(inner) = ty.base.clone() {
            derived.add(names::filter(&ty), item.clone());
            ty = *inner;
        }
    }
    faults.extend(objects.chain(leaves).filter_map(|name| derived.taken_by(&owner(name))));
    faults.append(&mut derived.faults);
}

impl Derived {
    fn add(&mut self, name: String, owner: Owner) {
        if ours::is_type(&name) {
            let title = format!("`{name}` would be derived from `{}`, and is taken", owner.name);
            let label = format!("the broker has a type `{name}`");
            self.faults.push(Fault::new(title).at(owner.span, label).help("rename this type"));
            return;
        }
        match self.owners.get(&name) {
            Some(first) if *first == owner => {}
            Some(first) => self.faults.push(
                Fault::new(format!("`{name}` would be derived from two types"))
                    .at(owner.span.or(first.span), "from this type")
                    .note(first.span.filter(|_| owner.span.is_some()), "and from this")
                    .help(RENAME),
            ),
            None => drop(self.owners.insert(name, owner)),
        }
    }

    /// The fault of a type that has a derived name.
    fn taken_by(&self, ty: &Owner) -> Option<Fault> {
        let Owner { name, span } = self.owners.get(&ty.name)?;
        let fault = Fault::new(format!("the name `{}` is that of a derived type", ty.name));
        let fault = fault.at(ty.span, format!("derived from `{name}`"));
        let note = format!("`{name}`, from which it is derived");
        let help = if span.is_some() { RENAME } else { "choose another name" };
        Some(fault.note(*span, note).help(help))
    }
}

/// Derived fields have names of their own.
pub(super) fn fields(topics: &[Found], faults: &mut Vec<Fault>) {
    let mut taken: HashMap<(Root, String), &Found> = HashMap::new();
    for found in topics {
        let mut all = Root::ALL.into_iter().flat_map(|root| {
            names::fields(root, &found.topic.stem).into_iter().map(move |field| (root, field))
        });
        // One is enough: what helps against it helps against the others.
        let collision = all.find_map(|(root, field)| {
            let (object, root_name) = (&found.topic.object, root.name());
            let title = format!("`{object}` would have the derived field `{root_name}.{field}`");
            let fault = Fault::new(title);
            if ours::is_field(root, &field) {
                return Some(fault.at(found.stem, "a field of the broker has this name"));
            }
            let first = *taken.entry((root, field)).or_insert(found);
            let label = format!("as has `{}`", first.topic.object);
            let is_other = !std::ptr::eq(first, found);
            is_other.then(|| fault.at(found.stem, label).note(first.stem, "from this stem"))
        });
        faults.extend(collision.map(|fault| {
            fault.help("give it another stem, as in `@topic(name: …, field: \"…\")`")
        }));
    }
}
