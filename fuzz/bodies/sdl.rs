//! Schemas of typed topics: any text gives a model or faults, and what is derived of a model is
//! right by another implementation.

use std::collections::HashSet;

use apollo_compiler::Schema;
use tidings::graphql::definition::Definition;
use tidings::graphql::sdl::derive::{Audience, derive};
use tidings::graphql::sdl::fault::Faults;
use tidings::graphql::sdl::model::{Model, Object};
use tidings::graphql::sdl::read;
use tidings::graphql::sdl::source::Source;

const FILES_MAX: usize = 4;
/// The implementation that looks at what is derived knows this directive only in newer versions.
const ONE_OF: &str = "directive @oneOf on INPUT_OBJECT";

/// One input: files, each after a line that is just `---`.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let texts = text.splitn(FILES_MAX, "\n---\n").enumerate();
    let files: Vec<Source> = texts
        .map(|(number, text)| Source { name: format!("{number}.graphql"), text: text.to_owned() })
        .collect();
    let outcome = read(&files);
    assert_eq!(outcome, read(&files));
    match outcome {
        Ok(model) => check_model(&model),
        Err(faults) => check_faults(&faults),
    }
}

fn check_faults(faults: &Faults) {
    let text = faults.to_string();
    let shown = text.split("\n\n").filter(|part| part.starts_with("error: ")).count();
    assert!(shown >= 1 && shown <= faults.count(), "{shown} of {}:\n{text}", faults.count());
    let is_command = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(is_command), "{}", text.escape_debug());
    assert!(text.contains("= help: "), "{text}");
}

fn check_model(model: &Model) {
    assert!(!model.topics.is_empty());
    let objects = model.objects.iter().map(|object| &object.name);
    let enums = model.enums.iter().map(|one| &one.name);
    let scalars = model.scalars.iter().map(|scalar| &scalar.name);
    let mut names = HashSet::new();
    assert!(objects.chain(enums).chain(scalars).all(|name| names.insert(name.clone())));
    for object in &model.objects {
        check_object(object);
    }
    for (index, topic) in model.topics.iter().enumerate() {
        let object = model.object(&topic.object).unwrap_or_else(|| panic!("{topic:?}: no type"));
        assert!(topic.template.placeholders().all(|name| object.field(name).is_some()));
        let overlaps = |other| topic.template.overlaps(other);
        assert!(!model.topics[..index].iter().any(|other| overlaps(&other.template)));
    }
    Definition::new(model).unwrap_or_else(|error| panic!("{error}: {model:#?}"));
    let sdl = derive(model, Audience::Clients);
    let schema = Schema::builder().parse(ONE_OF, "one_of.graphql").parse(&*sdl, "derived.graphql");
    let schema = schema.build().and_then(Schema::validate);
    schema.unwrap_or_else(|error| panic!("{}{sdl}", error.errors));
}

fn check_object(object: &Object) {
    let mut names = HashSet::new();
    assert!(!object.fields.is_empty() && object.fields.iter().all(|one| names.insert(&one.name)));
    let keys = object.keys.iter().flat_map(|key| &key.fields);
    assert!(keys.into_iter().all(|name| object.field(name).is_some()));
    assert!(!object.is_one_of || object.fields.iter().all(|field| field.ty.nullable));
}
