//! The user's SDL: the files of a folder in, a checked model out, or all faults at once.
//!
//! Comes in: text. Goes out: a [`Model`] on which everything else relies, or [`Faults`] with the
//! place of each, what is wrong there and what would be right. Knows nothing of: the file system.
//!
//! `parse` makes syntax trees, `gather` puts definitions and extensions together by name,
//! `directives`, `members`, `topic` and `entity` look at each type, `together` at all of them. What
//! follows of a model is in `derive`, with `filters` and `print`.

pub mod derive;
pub mod fault;
pub mod model;
pub mod names;
pub mod source;

mod brackets;
mod collide;
mod directives;
mod entity;
mod filters;
mod gather;
mod lower;
mod members;
mod nearest;
mod ours;
mod parse;
mod print;
mod refuse;
mod syntax;
mod together;
mod topic;
mod wording;

use apollo_compiler::ast::DirectiveLocation;

use fault::{Fault, Faults};
use gather::{Folder, ObjectType};
use model::{Model, Object};
use source::Source;
use topic::Found;

/// Reads the files of a folder. Types are in the order of the files and of their lines.
pub fn read(files: &[Source]) -> Result<Model, Faults> {
    let mut faults = Vec::new();
    let parsed = parse::parse(files, &mut faults);
    let folder = gather::gather(&parsed, &mut faults);
    let mut model = Model::default();
    let mut topics = Vec::new();
    for object in &folder.objects {
        model.objects.push(read_object(&folder, object, &mut topics, &mut faults));
    }
    for one in &folder.enums {
        members::enumeration(&folder, one, &mut faults);
        model.enums.push(lower::enumeration(one));
    }
    for scalar in &folder.scalars {
        directives::check(&folder, &scalar.directives, DirectiveLocation::Scalar, &mut faults);
        model.scalars.push(lower::scalar(scalar));
    }
    together::check(&folder, &topics, &mut faults);
    Faults::check(files, faults)?;
    model.topics = topics.into_iter().map(|found| found.topic).collect();
    Ok(model)
}

fn read_object(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    topics: &mut Vec<Found>,
    faults: &mut Vec<Fault>,
) -> Object {
    members::object(folder, object, faults);
    let topic = topic::read(folder, object, faults);
    let keys = entity::read(folder, object, topic.as_ref(), faults);
    topics.extend(topic);
    lower::object(object, keys)
}

#[cfg(test)]
mod tests;
