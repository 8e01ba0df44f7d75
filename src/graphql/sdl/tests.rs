use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::model::TypedTopic;
use super::*;
use crate::broker::rules::Overflow;
use crate::engine::retention::Keep;
use crate::message::template::Template;

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

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn read_text(text: &str) -> Result<Model, Faults> {
    read(&[source("a.graphql", text)])
}

fn model(name: &str) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdl/right").join(name);
    read(&sources(&path)).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The parser's own validation is no part of reading; it has nothing to add to ours.
#[test]
fn right_schemas_are_valid_for_others_too() {
    let directives = include_str!("../../../schema/directives.graphql");
    for path in cases("right") {
        let files = sources(&path);
        read(&files).unwrap_or_else(|faults| panic!("{faults}"));
        let bare = ["scalar JSON\r\n", "scalar DateTime\r\n"];
        let mut builder = apollo_compiler::Schema::builder();
        for Source { name, text } in files.iter().filter(|file| !file.text.starts_with('#')) {
            let text = bare.iter().fold(text.clone(), |text, line| text.replace(line, ""));
            builder = builder.parse(text, name);
        }
        builder = builder.parse(directives, "directives.graphql");
        let schema = builder.parse("type Query { a: Int }", "query.graphql").build();
        schema.unwrap().validate().unwrap_or_else(|error| panic!("{}", error.errors));
    }
}

#[test]
fn everything_arrives_in_the_model() {
    let model = model("everything.graphql");
    let [quote, log] = &model.topics[..] else { panic!("{:?}", model.topics) };
    let keep = Keep { last: Some(1), age: Some(Duration::from_mins(90)), bytes: Some(64 << 10) };
    let expected = TypedTopic {
        object: "Quote".into(),
        stem: "price".into(),
        template: Template::parse("quotes.{venue}.{symbol}").unwrap(),
        keep: Some(keep),
        durable: false,
        overflow: Overflow::Conflate,
        key: Some("symbol".into()),
        presence: false,
    };
    assert_eq!(*quote, expected);
    let expected = TypedTopic {
        object: "HTTPLog".into(),
        stem: "httpLog".into(),
        template: Template::parse("log").unwrap(),
        keep: Some(Keep::EVERYTHING),
        durable: true,
        overflow: Overflow::DropOldest,
        key: None,
        presence: true,
    };
    assert_eq!(*log, expected);

    let names: Vec<&str> = model.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["Quote", "Change", "Both", "Account", "HTTPLog"]);
    let quote = &model.objects[0];
    let description = "A quote of one \"instrument\".\nSecond line.";
    assert_eq!(quote.description.as_deref(), Some(description));
    let keys: Vec<(String, bool)> =
        quote.keys.iter().map(|key| (key.fields.join(" "), key.is_resolvable)).collect();
    assert_eq!(keys, [("venue symbol".into(), true), ("symbol venue id".into(), true)]);
    assert_eq!(quote.federation, ["@shareable", "@tag(name: \"market\")", "@tag(name: \"live\")"]);
    let fields: Vec<(String, String)> =
        quote.fields.iter().map(|field| (field.name.clone(), field.ty.to_string())).collect();
    let types = ["Venue!", "ID!", "ID!", "Price!", "[[Int!]!]", "DateTime", "JSON", "Change"];
    assert_eq!(fields.iter().map(|(_, ty)| ty.as_str()).collect::<Vec<_>>(), types);
    assert_eq!(quote.fields[0].description.as_deref(), Some("Where."));
    assert_eq!(quote.fields[5].deprecated.as_deref(), Some("No longer supported"));
    assert_eq!(quote.fields[6].deprecated.as_deref(), Some("see `bid`"));
    assert_eq!(quote.fields[6].federation, ["@inaccessible", "@tag(name: \"old\")"]);
    assert!(model.objects[1].is_one_of && !quote.is_one_of);
    assert!(!model.objects[3].keys[0].is_resolvable);

    let venue = &model.enums[0];
    let values: Vec<(&str, Option<&str>)> =
        venue.values.iter().map(|one| (one.name.as_str(), one.deprecated.as_deref())).collect();
    assert_eq!(values, [("XNYS", None), ("XLON", Some("gone"))]);
    assert_eq!(venue.values[0].description.as_deref(), Some("New York."));
    let price = &model.scalars[0];
    assert_eq!(price.specified_by.as_deref(), Some("https://example.com/price"));
    assert_eq!(
        (price.description.as_deref(), price.federation.len()),
        (Some("A decimal number."), 1)
    );
}

#[test]
fn extensions_are_put_together() {
    let model = model("extended");
    let fields: Vec<&str> =
        model.objects[0].fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["symbol", "side", "price", "ask"]);
    assert_eq!(model.topics[0].template.as_str(), "quotes.{symbol}");
    assert_eq!(model.enums[0].values.len(), 2);
    assert!(model.scalars[0].specified_by.is_some() && model.scalars.len() == 1);
}

#[test]
fn our_directives_may_be_copied_for_an_editor() {
    let quote =
        source("quote.graphql", "type Quote @topic(name: \"q\") { at: DateTime  all: JSON }");
    let directives = include_str!("../../../schema/directives.graphql");
    let copy = source("directives.graphql", directives);
    let alone = read(std::slice::from_ref(&quote)).unwrap();
    assert_eq!(read(&[copy, quote.clone()]), Ok(alone.clone()));
    let undescribed: Vec<&str> =
        directives.lines().filter(|line| !line.trim_start().starts_with('"')).collect();
    assert!(undescribed.len() < directives.lines().count());
}

#[test]
fn many_faults_are_cut_off_and_stand_in_order() {
    let fields: Vec<String> = (0..60).map(|number| format!("  f{number}: Nowhere\n")).collect();
    let fields = fields.concat();
    let faults = read_text(&format!("type A {{\n{fields}}}")).unwrap_err();
    assert_eq!(faults.count(), 60);
    let text = faults.to_string();
    assert!(text.ends_with("\n\nand 10 more"), "{text}");
    let places: Vec<usize> = text.match_indices(" --> a.graphql:").map(|(at, _)| at).collect();
    assert_eq!(places.len(), 50);
    assert!(text.find(":2:7").unwrap() < text.find(":11:7").unwrap());
}

#[test]
fn text_of_a_file_is_no_command_for_a_terminal() {
    let faults = read_text("type A @topic(name: \"a.{\u{1b}[31m}\") { \u{1b}[2Jx: Int }");
    let text = faults.unwrap_err().to_string();
    assert!(!text.contains('\u{1b}'), "{}", text.escape_debug());
}

/// What the plan allows for 300 types is 0.3 s in a release build.
#[test]
fn three_hundred_types_are_read_at_once() {
    let types = (0..300).map(|number| {
        format!(
            "\"Type {number}.\"\ntype Type{number} \
             @topic(name: \"t{number}.{{id}}\", keep: {{last: 1}}) @key(fields: \"id\") \
             {{\n  id: ID!\n  next: Type{}\n  a: [Float!]!\n  b: String\n}}\n",
            (number + 1) % 300
        )
    });
    let text: String = types.collect();
    let began = Instant::now();
    let model = read_text(&text).unwrap();
    println!("300 types in {:?}", began.elapsed());
    assert_eq!(model.topics.len(), 300);
}
