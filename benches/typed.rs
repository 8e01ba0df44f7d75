//! What types cost per message: a typed selection and the check against the type, beside the
//! generic selection of the whole payload.
//!
//! `cargo bench --bench typed` prints nanoseconds and their ratio to the generic selection;
//! compare runs of one machine only.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints or ends")]

use std::hint::black_box;
use std::time::Instant;

use tidings::message::cursor::{Cursor, Epoch, Sequence};
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Message, Place};
use tidings::plan::projection::{Field, Piece, Projection};
use tidings::plan::shape::{FieldShape, Kind, Leaf, ObjectShape, Shape, ValueShape};
use tidings::plan::tree::{Part, Tree};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;
const MESSAGES: usize = 100_000;

const QUOTE: [&str; 6] = ["symbol", "bid", "ask", "size", "at", "live"];
const LEG: [&str; 4] = ["venue", "price", "size", "note"];

fn main() {
    for legs in [0, 8] {
        let message = message(legs);
        let bytes = message.payload.as_str().len();
        println!("payload of {bytes} bytes");
        let generic = projection(Piece::Field(Field::Payload));
        let base = measure(|| drop(black_box(generic.encode(black_box(&message)))));
        row("generic: the payload", base, base);
        let legs = (legs > 0).then(|| ("legs", tree(&LEG, None)));
        let selections =
            [("typed: two fields", tree(&QUOTE[1..3], None)), ("typed: all", tree(&QUOTE, legs))];
        for (name, tree) in selections {
            let typed = projection(Piece::Payload(tree));
            row(name, measure(|| drop(black_box(typed.encode(black_box(&message))))), base);
        }
        let shape = shape();
        let payload = &message.payload;
        let fits = || assert!(shape.fits(black_box(payload.as_str())).is_ok());
        row("fits", measure(fits), base);
        let parse = || drop(black_box(black_box(payload).to_value()));
        row("parsed for conditions", measure(parse), base);
    }
}

/// Nanoseconds of one call: the best of some rounds, so that others on the machine count little.
fn measure(mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..MESSAGES).for_each(|_| work());
        start.elapsed().as_secs_f64() * 1e9
    };
    let best = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min);
    best / f64::from(u32::try_from(MESSAGES).unwrap())
}

fn row(name: &str, nanoseconds: f64, base: f64) {
    println!("  {name:<24}{nanoseconds:>8.0} ns  x {:.2}", nanoseconds / base);
}

fn message(legs: usize) -> Message {
    let leg = |number: usize| {
        let note = r#""note":"as of the close of the last day but one, net""#;
        format!(r#"{{"venue":"XNAS-{number}","price":101.25{number},"size":1{number}00,{note}}}"#)
    };
    let legs: Vec<String> = (0..legs).map(leg).collect();
    let quote = r#""symbol":"ACME-2027-03-C","bid":101.2534,"ask":101.2599,"size":1200"#;
    let rest = r#""at":"2026-11-21T14:30:00.500000Z","live":true"#;
    let payload = match legs.join(",") {
        legs if legs.is_empty() => format!("{{{quote},{rest}}}"),
        legs => format!(r#"{{{quote},{rest},"legs":[{legs}]}}"#),
    };
    let draft = Draft {
        topic: Topic::parse("quotes.ACME").unwrap(),
        payload: Json::parse(&payload).unwrap(),
        key: None,
        headers: None,
    };
    let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(2) };
    Message::new(draft, Place { cursor, previous: None, published_at: Timestamp::from_micros(0) })
}

fn projection(piece: Piece) -> Projection {
    let text = |text: &str| Piece::Text(text.into());
    Projection::new([text(r#"{"data":{"quote":"#), piece, text("}")], true)
}

fn tree(names: &[&str], list: Option<(&str, Tree)>) -> Tree {
    let mut parts = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        parts.push(Part::Text(format!("{before}\"{name}\":").into()));
        parts.push(Part::Leaf((*name).into()));
    }
    if let Some((name, inner)) = list {
        parts.push(Part::Text(format!(",\"{name}\":").into()));
        parts.push(Part::Object(name.into(), inner));
    }
    parts.push(Part::Text("}".into()));
    Tree::new(parts)
}

fn shape() -> Shape {
    let field = |name: &str, kind| FieldShape {
        name: name.into(),
        value: ValueShape { required: name != "legs", kind },
    };
    let leaves = |names: &[&str], leaves: &[Leaf]| {
        let fields = names.iter().zip(leaves);
        fields.map(|(name, leaf)| field(name, Kind::Leaf(leaf.clone()))).collect::<Vec<_>>()
    };
    let quote = [Leaf::Id, Leaf::Float, Leaf::Float, Leaf::Int, Leaf::DateTime, Leaf::Boolean];
    let mut quote = leaves(&QUOTE, &quote);
    let legs = ValueShape { required: true, kind: Kind::Object(1) };
    quote.push(field("legs", Kind::List(Box::new(legs))));
    let leg = leaves(&LEG, &[Leaf::String, Leaf::Float, Leaf::Int, Leaf::String]);
    let object = |fields| ObjectShape { fields, is_one_of: false };
    Shape::new(vec![object(quote), object(leg)], 0)
}
