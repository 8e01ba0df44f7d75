//! The field `messages` as a plan: its arguments decide which messages, its selection which bytes.

use std::sync::Arc;

use super::arguments::Arguments;
use super::error::{Code, Error};
use super::filter;
use super::input::Value;
use super::select::Selected;
use super::shapes;
use super::typed::TypedTopic;
use super::types::{TypeId, Types};
use crate::message::cursor::Cursor;
use crate::message::filter::Filters;
use crate::message::time::Timestamp;
use crate::plan::condition::{Bound, Comparison, Condition, Test};
use crate::plan::pointer::Pointer;
use crate::plan::projection::{Field, Piece, Projection, quoted};
use crate::plan::tree::{Part, Tree};
use crate::plan::{Pace, Position, Select};

/// Conditions of one field.
const CONDITIONS_MAX: usize = 100;

/// Which messages of a typed topic, and the fields that `where` tests.
pub fn typed_select(
    types: &Types,
    topic: &TypedTopic,
    filters: Filters,
    arguments: &Arguments<'_>,
) -> Result<(Select, filter::Tested), Error> {
    let mut compiler = filter::Compiler::new(types);
    let condition = match arguments.get("where") {
        Some(filter) => Condition::new(compiler.object(topic.object, filter)?),
        None => None,
    };
    let select = Select { filters, condition: condition.map(Arc::new), typed: true };
    Ok((select, compiler.tested))
}

/// Which messages: the arguments `topics` and, where the field has it, `where`.
pub fn select(arguments: &Arguments<'_>) -> Result<Select, Error> {
    let conditions = arguments.list("where").unwrap_or_default();
    if conditions.len() > CONDITIONS_MAX {
        let message = format!("`where` has {} items, over {CONDITIONS_MAX}", conditions.len());
        return Err(Error::new(Code::LimitExceeded, message));
    }
    let mut tests = Vec::new();
    for condition in conditions {
        add_tests(&Arguments::of_object(condition), &mut tests)?;
    }
    let condition = Condition::all(tests).map(Arc::new);
    Ok(Select { filters: arguments.filters()?, condition, typed: false })
}

/// From where on.
pub fn position(arguments: &Arguments<'_>) -> Result<Position, Error> {
    let snapshot = arguments.flag("snapshot");
    let is_given = |name: &&str| match *name {
        "snapshot" => snapshot,
        other => arguments.get(other).is_some_and(|value| *value != Value::Null),
    };
    let given: Vec<&str> =
        ["after", "since", "last", "snapshot"].into_iter().filter(is_given).collect();
    match given[..] {
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` exclude each other; give one of them");
            Err(Error::argument(second, message))
        }
        ["snapshot"] => Ok(Position::Snapshot),
        ["after"] => after(arguments.text("after").unwrap_or_default()),
        ["since"] => Ok(since(arguments)?.map_or(Position::Live, Position::Since)),
        ["last"] => Ok(arguments.count("last")?.map_or(Position::Live, Position::Last)),
        _ => Ok(Position::Live),
    }
}

/// A position that a client sends back.
pub fn after(text: &str) -> Result<Position, Error> {
    if text == "earliest" {
        return Ok(Position::Earliest);
    }
    let cursor =
        Cursor::parse(text).map_err(|error| Error::from(error).with("argument", "after"))?;
    Ok(Position::After(cursor))
}

/// The argument `since`.
pub fn since(arguments: &Arguments<'_>) -> Result<Option<Timestamp>, Error> {
    Ok(arguments.text("since").map(Timestamp::parse).transpose()?)
}

/// How often.
pub fn pace(arguments: &Arguments<'_>) -> Result<Pace, Error> {
    /// Once in 11 days: what is slower has no use, and a time so far away no place in a clock.
    const LEAST: f64 = 0.000_001;
    let max_per_second = arguments.float("maxPerSecond");
    if max_per_second.is_some_and(|rate| rate < LEAST) {
        let message = "`maxPerSecond` must be at least 0.000001, as in 2 or 0.5";
        return Err(Error::argument("maxPerSecond", message));
    }
    Ok(Pace { max_per_second, distinct: arguments.flag("distinct") })
}

/// The result of a subscription whose only field is this message.
pub fn result(field: &Selected, cursor: bool) -> Projection {
    result_of(field, pieces(&field.selection), cursor)
}

/// The result of a subscription whose only field is a typed topic.
pub fn typed_result(field: &Selected, cursor: bool) -> Projection {
    result_of(field, [Piece::Payload(tree(&field.selection))], cursor)
}

fn result_of(
    field: &Selected,
    message: impl IntoIterator<Item = Piece>,
    cursor: bool,
) -> Projection {
    let open = Piece::Text(format!(r#"{{"data":{{{}:"#, quoted(&field.key)).into());
    let pieces = std::iter::once(open).chain(message);
    Projection::new(pieces.chain([Piece::Text("}".into())]), cursor)
}

/// The object of a message alone, where the type is that of one.
pub fn message(types: &Types, ty: TypeId, selection: &[Selected]) -> Option<Projection> {
    if &*types.named(ty).name == "Message" {
        return Some(Projection::new(pieces(selection), false));
    }
    types.field(ty, shapes::MESSAGE).map(|_| typed_object(selection))
}

/// The object of a typed message alone.
pub fn typed_object(selection: &[Selected]) -> Projection {
    Projection::new([Piece::Payload(tree(selection))], false)
}

/// What is selected of a payload, or of an object in it.
fn tree(selection: &[Selected]) -> Tree {
    let mut parts = vec![Part::Text("{".into())];
    for (index, selected) in selection.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        parts.push(Part::Text(format!("{comma}{}:", quoted(&selected.key)).into()));
        match &*selected.name {
            "__typename" => parts.push(Part::Text(quoted(selected.typename()).into())),
            shapes::MESSAGE => parts.extend(pieces(&selected.selection).into_iter().map(part)),
            name if selected.selection.is_empty() => parts.push(Part::Leaf(name.into())),
            name => parts.push(Part::Object(name.into(), tree(&selected.selection))),
        }
    }
    parts.push(Part::Text("}".into()));
    Tree::new(parts)
}

/// A piece of the generic message within a typed one.
fn part(piece: Piece) -> Part {
    match piece {
        Piece::Text(text) => Part::Text(text),
        Piece::Field(field) => Part::Message(field),
        // The generic message has no typed one in it.
        Piece::Payload(_) => Part::Text("null".into()),
    }
}

fn pieces(selection: &[Selected]) -> Vec<Piece> {
    let mut pieces = vec![Piece::Text("{".into())];
    for (index, selected) in selection.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        pieces.push(Piece::Text(format!("{comma}{}:", quoted(&selected.key)).into()));
        pieces.push(match message_field(&selected.name) {
            Some(field) => Piece::Field(field),
            // Validation lets no other field pass.
            None => Piece::Text(r#""Message""#.into()),
        });
    }
    pieces.push(Piece::Text("}".into()));
    pieces
}

fn message_field(name: &str) -> Option<Field> {
    Some(match name {
        "topic" => Field::Topic,
        "cursor" => Field::Cursor,
        "previous" => Field::Previous,
        "publishedAt" => Field::PublishedAt,
        "key" => Field::Key,
        "headers" => Field::Headers,
        "payload" => Field::Payload,
        "snapshot" => Field::Snapshot,
        _ => return None,
    })
}

fn add_tests(condition: &Arguments<'_>, tests: &mut Vec<Test>) -> Result<(), Error> {
    let pointer = Pointer::parse(condition.text("path").unwrap_or_default())?;
    for (name, value) in condition.iter() {
        if let Some(comparison) = comparison(name, value)? {
            tests.push(Test { pointer: pointer.clone(), comparison });
        }
    }
    Ok(())
}

/// Null is a value to compare with where the type is JSON, and no test elsewhere.
fn comparison(name: &str, value: &Value<'_>) -> Result<Option<Comparison>, Error> {
    let json = || filter::json(value);
    let order = |bound| Some(Comparison::Order(bound, json()));
    let text = || value.as_text().map(ToOwned::to_owned);
    Ok(match (name, value) {
        ("eq", _) => Some(Comparison::Eq(json())),
        ("ne", _) => Some(Comparison::Ne(json())),
        ("lt", _) => order(Bound::Less),
        ("lte", _) => order(Bound::LessOrEqual),
        ("gt", _) => order(Bound::Greater),
        ("gte", _) => order(Bound::GreaterOrEqual),
        ("in", Value::List(items)) => Some(Comparison::In(filter::one_of(items)?)),
        ("exists", Value::Boolean(present)) => Some(Comparison::Exists(*present)),
        ("startsWith", _) => text().map(Comparison::StartsWith),
        ("contains", _) => text().map(Comparison::Contains),
        _ => None,
    })
}
