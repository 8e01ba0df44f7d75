use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::message::json::Json;
use crate::message::time::Timestamp;

fn leaf(leaf: Leaf) -> Kind {
    Kind::Leaf(leaf)
}

fn list(item: ValueShape) -> Kind {
    Kind::List(Box::new(item))
}

fn required(kind: Kind) -> ValueShape {
    ValueShape { required: true, kind }
}

fn optional(kind: Kind) -> ValueShape {
    ValueShape { required: false, kind }
}

fn object(fields: Vec<(&str, ValueShape)>, is_one_of: bool) -> ObjectShape {
    let field = |(name, value): (&str, ValueShape)| FieldShape { name: name.into(), value };
    ObjectShape { fields: fields.into_iter().map(field).collect(), is_one_of }
}

/// A type with a field `v` alone.
fn of(value: ValueShape) -> Shape {
    Shape::new(vec![object(vec![("v", value)], false)], 0)
}

fn fits(value: ValueShape, text: &str) -> bool {
    of(value).fits(&format!(r#"{{"v":{text}}}"#)).is_ok()
}

#[test]
fn leaves_are_in_their_normal_form() {
    let level = || Leaf::Enum(["LOW".into(), "HIGH".into()].into());
    let table: [(Leaf, &[&str], &[&str]); 8] = [
        (
            Leaf::Int,
            &["0", "-0", "2147483647", "-2147483648"],
            &["2147483648", "-2147483649", "1.0", "1e2", r#""1""#, "true", "[1]", "{}", "1e999"],
        ),
        (
            Leaf::Float,
            &["0", "-1.50", "1e2", "1.7976931348623157e308", "9007199254740993", "1e-999"],
            &["1e999", "-1e999", r#""1""#, r#""inf""#, "false", "[]"],
        ),
        (
            Leaf::String,
            &[r#""""#, r#""a\"\\ü\n""#, r#""\ud83d\ude00""#],
            &["1", "true", r#"["a"]"#, r#""\ud83d""#, r#""a\ude00b""#],
        ),
        (Leaf::Id, &[r#""1""#], &["1"]),
        (Leaf::Boolean, &["true", "false"], &["0", r#""true""#]),
        (
            Leaf::DateTime,
            &[r#""2026-11-21T14:30:00.500000Z""#, r#""\u0032026-11-21T14:30:00.500000Z""#],
            &[
                r#""2026-11-21T14:30:00Z""#,
                r#""2026-11-21T14:30:00.5000000Z""#,
                r#""2026-11-21T14:30:00.500000z""#,
                r#""2026-11-21T14:30:00.500000+00:00""#,
                r#""2026-11-21T15:30:00.500000+01:00""#,
                r#""2026-11-21T14:30:60.000000Z""#,
                r#""2026-02-30T14:30:00.500000Z""#,
                r#""2026-11-21 14:30:00.500000Z""#,
                r#""""#,
                "1",
            ],
        ),
        (level(), &[r#""LOW""#, r#""\u0048IGH""#], &[r#""low""#, r#""""#, "1", r#"["LOW"]"#]),
        (Leaf::Any, &["0", "1e999", r#""\ud83d""#, "[null]", "{}", "false"], &[]),
    ];
    for (kind, good, bad) in table {
        for text in good {
            assert!(fits(required(leaf(kind.clone())), text), "{kind:?} {text}");
        }
        for text in bad {
            assert!(!fits(optional(leaf(kind.clone())), text), "{kind:?} {text}");
        }
        assert!(fits(optional(leaf(kind.clone())), "null"), "{kind:?}");
        assert!(!fits(required(leaf(kind.clone())), "null"), "{kind:?}");
        assert!(of(optional(leaf(kind.clone()))).fits("{}").is_ok(), "{kind:?}");
        assert!(of(required(leaf(kind.clone()))).fits("{}").is_err(), "{kind:?}");
    }
}

#[test]
fn lists_and_their_items_have_their_own_nulls() {
    let int = || leaf(Leaf::Int);
    let table = [
        (required(list(required(int()))), ["[]", "[1,2]"], ["null", "[1,null]"]),
        (optional(list(required(int()))), ["null", "[1]"], ["[null]", "1"]),
        (required(list(optional(int()))), ["[null]", "[null,1]"], ["null", "[[1]]"]),
        (required(list(required(list(optional(int()))))), ["[[]]", "[[null]]"], ["[null]", "[1]"]),
    ];
    for (value, good, bad) in table {
        assert!(good.iter().all(|text| fits(value.clone(), text)), "{value:?}");
        assert!(!bad.iter().any(|text| fits(value.clone(), text)), "{value:?}");
    }
}

#[test]
fn unknown_fields_and_odd_keys_do_not_matter() {
    let shape = of(required(leaf(Leaf::Int)));
    for good in [
        r#"{"x":[1,{"v":"no"}],"v":1}"#,
        r#"{"\u0076":1}"#,
        r#"{"\ud83d":1,"v":1,"":1e999,"V":"\ud83d"}"#,
    ] {
        assert_eq!(shape.fits(good), Ok(()), "{good}");
    }
    for bad in ["[]", "null", "1", "1e999", r#""v""#, r#"{"v\u0000":1}"#, r#"{"v":2,"\u0076":1}"#] {
        assert!(shape.fits(bad).is_err(), "{bad}");
    }
}

#[test]
fn exactly_one_of_the_fields_has_a_value() {
    let fields = vec![("a", optional(leaf(Leaf::Int))), ("b", optional(leaf(Leaf::Any)))];
    let shape = Shape::new(vec![object(fields, true)], 0);
    for good in [r#"{"a":1}"#, r#"{"b":[],"a":null}"#, r#"{"x":1,"a":0}"#] {
        assert!(shape.fits(good).is_ok(), "{good}");
    }
    for (bad, count) in [("{}", 0), (r#"{"a":null}"#, 0), (r#"{"a":1,"b":1}"#, 2)] {
        let reason = format!("expected exactly one field with a value, found {count}");
        assert_eq!(shape.fits(bad), Err(Misfit { path: String::new(), reason }));
    }
}

#[test]
fn a_misfit_says_where_and_why_and_nothing_of_the_payload() {
    let item = object(vec![("a/b", required(leaf(Leaf::Int)))], false);
    let root = object(
        vec![
            ("items", optional(list(optional(Kind::Object(1))))),
            ("at", optional(leaf(Leaf::DateTime))),
            ("level", optional(leaf(Leaf::Enum(["LOW".into()].into())))),
        ],
        false,
    );
    let shape = Shape::new(vec![root, item], 0);
    let table = [
        ("[\"secret\"]", "", "expected an object, found a list"),
        (r#"{"items":"secret"}"#, "/items", "expected a list, found a string"),
        (r#"{"items":{"a":1}}"#, "/items", "expected a list, found an object"),
        (r#"{"items":[null,7]}"#, "/items/1", "expected an object, found a number"),
        (r#"{"items":[1e999]}"#, "/items/0", "expected an object, found a number"),
        (r#"{"items":["\ud83d"]}"#, "/items/0", "expected an object, found a string"),
        (
            r#"{"items":[{"a/b":1},{"a/b":"secret"}]}"#,
            "/items/1/a~1b",
            "expected an integer of 32 bits, found a string",
        ),
        (r#"{"items":[{}]}"#, "/items/0/a~1b", "expected an integer of 32 bits, found nothing"),
        (
            r#"{"items":[{"a/b":null}]}"#,
            "/items/0/a~1b",
            "expected an integer of 32 bits, found null",
        ),
        (
            r#"{"at":"secret"}"#,
            "/at",
            "expected a time in UTC with six digits after the point, found a string",
        ),
        (r#"{"level":"secret"}"#, "/level", "expected a value of the enum, found a string"),
        (r#"{"items":[],"items":null}"#, "/items", "expected once, found again"),
        (r#"{"level":true}"#, "/level", "expected a value of the enum, found a boolean"),
    ];
    for (payload, path, reason) in table {
        let expected = Misfit { path: path.into(), reason: reason.into() };
        assert_eq!(shape.fits(payload), Err(expected), "{payload}");
    }
}

#[test]
fn depth_and_width_have_no_end_of_their_own() {
    let node = object(vec![("next", optional(list(optional(Kind::Object(0)))))], false);
    let shape = Shape::new(vec![node], 0);
    let deep = format!("{}{{}}{}", r#"{"next":["#.repeat(63), "]}".repeat(63));
    let deep = Json::parse(&deep).unwrap();
    assert_eq!(shape.fits(deep.as_str()), Ok(()));
    let beyond = "[".repeat(125) + &"]".repeat(125);
    assert_eq!(shape.fits(&format!(r#"{{"x":{beyond}}}"#)), Ok(()));
    assert!(shape.fits(&format!(r#"{{"next":{beyond}}}"#)).is_err());

    let names: Vec<String> = (0..300).map(|number| format!("f{number}")).collect();
    let fields = names.iter().map(|name| (&**name, required(leaf(Leaf::Int)))).collect();
    let wide = Shape::new(vec![object(fields, false)], 0);
    let text = |names: &[String]| {
        let fields: Vec<String> = names.iter().rev().map(|name| format!("\"{name}\":1")).collect();
        format!("{{{}}}", fields.join(","))
    };
    assert_eq!(wide.fits(&text(&names)), Ok(()));
    assert_eq!(wide.fits(&text(&names[..299])).map_err(|misfit| misfit.path), Err("/f299".into()));
}

#[test]
fn a_reference_to_no_object_never_fits() {
    assert!(Shape::new(vec![], 0).fits("{}").is_err());
}

/// Turns random bytes into choices, so that payloads can follow the shape they are for.
struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    /// Less than `sides`; 0 when the bytes are used up.
    fn roll(&mut self, sides: usize) -> usize {
        usize::from(self.0.next().unwrap_or_default()) % sides
    }

    fn shape(&mut self) -> Shape {
        let objects = 1 + self.roll(3);
        let objects: Vec<ObjectShape> = (0..objects)
            .map(|_| {
                let names = ["a", "b", "c", "d/~", "ü"];
                let fields = names[..self.roll(names.len() + 1)].iter();
                let fields = fields.map(|name| (*name, self.value_shape(objects, 2))).collect();
                object(fields, self.roll(4) == 1)
            })
            .collect();
        Shape::new(objects, 0)
    }

    fn value_shape(&mut self, objects: usize, depth: usize) -> ValueShape {
        let kind = match self.roll(12) {
            0 | 1 if depth > 0 => list(self.value_shape(objects, depth - 1)),
            2 | 3 => Kind::Object(self.roll(objects)),
            4 => leaf(Leaf::Int),
            5 => leaf(Leaf::Float),
            6 => leaf(Leaf::String),
            7 => leaf(Leaf::Boolean),
            8 => leaf(Leaf::Id),
            9 => leaf(Leaf::DateTime),
            10 => leaf(Leaf::Enum(["LOW".into(), "HIGH".into()].into())),
            _ => leaf(Leaf::Any),
        };
        ValueShape { required: self.roll(2) == 1, kind }
    }

    /// A value that fits more often than not.
    fn value(&mut self, shape: &Shape, value: &ValueShape, depth: usize) -> Value {
        let odd = [json!(null), json!(1.5), json!("LOW"), json!([]), json!({}), json!(i64::MAX)];
        if self.roll(16) == 1 {
            return odd[self.roll(odd.len())].clone();
        }
        if depth == 0 || (!value.required && self.roll(4) == 1) {
            return Value::Null;
        }
        match &value.kind {
            Kind::Object(place) => {
                let object = &shape.objects[*place];
                let one = self.roll(object.fields.len().max(1));
                let mut fields: Vec<(String, Value)> = Vec::new();
                for (place, field) in object.fields.iter().enumerate() {
                    if !object.is_one_of || place == one || self.roll(16) == 1 {
                        let value = self.value(shape, &field.value, depth - 1);
                        fields.push((field.name.to_string(), value));
                    }
                }
                if self.roll(4) == 1 {
                    fields.reverse();
                    fields.push(("unknown".into(), odd[self.roll(odd.len())].clone()));
                }
                Value::Object(fields.into_iter().collect())
            }
            Kind::List(item) => {
                let items = self.roll(3);
                (0..items).map(|_| self.value(shape, item, depth - 1)).collect()
            }
            Kind::Leaf(Leaf::Int) => json!(self.roll(100)),
            Kind::Leaf(Leaf::Float) => [json!(1), json!(-2.5e300)][self.roll(2)].clone(),
            Kind::Leaf(Leaf::Boolean) => json!(self.roll(2) == 1),
            Kind::Leaf(Leaf::String | Leaf::Id) => json!("\u{1f600} \"\\\n"),
            Kind::Leaf(Leaf::DateTime) => {
                json!(["2026-11-21T14:30:00.500000Z", "2026-11-21T14:30:00Z"][self.roll(2)])
            }
            Kind::Leaf(Leaf::Enum(names)) => json!(&*names[self.roll(names.len())]),
            Kind::Leaf(Leaf::Any) => odd[self.roll(odd.len())].clone(),
        }
    }
}

/// The same rules, over a tree.
fn naive(shape: &Shape, value: &ValueShape, is: &Value) -> bool {
    match (&value.kind, is) {
        (_, Value::Null) => !value.required,
        (Kind::Object(place), Value::Object(fields)) => {
            let object = &shape.objects[*place];
            let of = |field: &FieldShape| fields.get(&*field.name).unwrap_or(&Value::Null);
            let values = object.fields.iter().filter(|field| !of(field).is_null()).count();
            object.fields.iter().all(|field| naive(shape, &field.value, of(field)))
                && (!object.is_one_of || values == 1)
        }
        (Kind::List(item), Value::Array(items)) => items.iter().all(|is| naive(shape, item, is)),
        (Kind::Leaf(leaf), is) => match (leaf, is) {
            (Leaf::Int, Value::Number(number)) => {
                number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
            }
            (Leaf::DateTime, Value::String(text)) => {
                Timestamp::parse(text).is_ok_and(|time| time.to_string() == *text)
            }
            (Leaf::Enum(names), Value::String(text)) => names.iter().any(|name| **name == **text),
            (Leaf::Any, _)
            | (Leaf::Float, Value::Number(_))
            | (Leaf::Boolean, Value::Bool(_))
            | (Leaf::String | Leaf::Id, Value::String(_)) => true,
            _ => false,
        },
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_verdict_is_that_of_a_check_of_the_tree(
        bytes in proptest::collection::vec(any::<u8>(), 0..160)
    ) {
        let mut dice = Dice(bytes.into_iter());
        let shape = dice.shape();
        let payload = dice.value(&shape, &shape.root, 6);
        let verdict = shape.fits(&payload.to_string());
        let expected = naive(&shape, &shape.root, &payload);
        prop_assert_eq!(verdict.is_ok(), expected, "{} {:?} {:#?}", payload, verdict, shape);
    }

    #[test]
    fn no_json_makes_it_panic(text in "[\\[\\]{}:,\"\\\\au1eE+.\\-d8 9]{0,40}") {
        if let Ok(json) = Json::parse(&text) {
            let shape = of(optional(list(optional(Kind::Object(0)))));
            let _ = shape.fits(json.as_str());
        }
    }
}
