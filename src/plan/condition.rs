//! `where`: tests on a payload, compiled once and run per message.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde_json::Value;

use super::number;
use super::pointer::Pointer;

/// A test of a payload. Equal when they say the same in another order, so that feeds share them.
#[derive(Debug, Clone)]
pub struct Condition {
    expression: Expression,
    identity: Box<str>,
}

/// What must hold of a value: tests, combined.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// Each of these; nothing to hold always holds.
    All(Vec<Self>),
    /// At least one of these; of nothing, none ever does.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// One comparison.
    Test(Test),
    /// The pointer finds a list, and this holds of at least one of its elements: pointers inside
    /// begin at the element.
    Element(Pointer, Box<Self>),
}

/// One comparison of the value that a pointer finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Where in the payload.
    pub pointer: Pointer,
    /// What must hold there.
    pub comparison: Comparison,
}

/// What must hold of a value. A missing value passes `Ne` and `Exists(false)`, nothing else.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// Equal; numbers by value.
    Eq(Value),
    /// Not equal, or missing.
    Ne(Value),
    /// Equal to one of these.
    In(Vec<Value>),
    /// Ordered before, at or after; across types nothing is less or greater.
    Order(Bound, Value),
    /// Present (null counts as present) or missing.
    Exists(bool),
    /// A string with this beginning.
    StartsWith(String),
    /// A string that contains this.
    Contains(String),
}

/// Which side of a value, and whether the value itself belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
}

impl Condition {
    /// The condition that this holds; `None` when it always does.
    pub fn new(expression: Expression) -> Option<Self> {
        let expression = expression.normal();
        let identity = expression.text().into();
        (!expression.is_constant(true)).then_some(Self { expression, identity })
    }

    /// The conjunction of these tests; `None` when there is nothing to test.
    pub fn all(tests: Vec<Test>) -> Option<Self> {
        Self::new(Expression::All(tests.into_iter().map(Expression::Test).collect()))
    }

    /// Does it hold for this payload?
    pub fn holds(&self, payload: &Value) -> bool {
        self.holds_in(&mut Probe::new(payload))
    }

    /// The same, where other conditions are asked about the same payload.
    pub fn holds_in<'a>(&'a self, probe: &mut Probe<'a>) -> bool {
        self.expression.holds(probe)
    }
}

/// A payload that many conditions are asked about, and what the last pointer found in it: those
/// of many subscriptions tend to test the same field.
#[derive(Debug)]
pub struct Probe<'a> {
    payload: &'a Value,
    last: Option<(&'a Pointer, Option<&'a Value>)>,
}

impl<'a> Probe<'a> {
    /// Nobody has asked yet.
    pub fn new(payload: &'a Value) -> Self {
        Self { payload, last: None }
    }

    fn find(&mut self, pointer: &'a Pointer) -> Option<&'a Value> {
        match self.last {
            Some((last, found)) if last == pointer => found,
            _ => {
                let found = pointer.find(self.payload);
                self.last = Some((pointer, found));
                found
            }
        }
    }
}

impl Expression {
    fn holds<'a>(&'a self, probe: &mut Probe<'a>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(probe)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(probe)),
            Self::Not(part) => !part.holds(probe),
            Self::Test(test) => test.comparison.holds(probe.find(&test.pointer)),
            Self::Element(pointer, part) => match probe.find(pointer) {
                Some(Value::Array(items)) => {
                    items.iter().any(|item| part.holds(&mut Probe::new(item)))
                }
                _ => false,
            },
        }
    }

    /// The same verdict for every payload, in a form that is the same for other orders,
    /// repetitions and nestings of the same operands.
    fn normal(self) -> Self {
        match self {
            Self::All(parts) => Self::join(parts, true),
            Self::Any(parts) => Self::join(parts, false),
            Self::Not(part) => match part.normal() {
                Self::Not(part) => *part,
                part if part.is_constant(true) => Self::constant(false),
                part if part.is_constant(false) => Self::constant(true),
                part => Self::Not(Box::new(part)),
            },
            Self::Test(test) => Self::Test(test),
            Self::Element(pointer, part) => match part.normal() {
                part if part.is_constant(false) => part,
                part => Self::Element(pointer, Box::new(part)),
            },
        }
    }

    /// All or any of these: `neutral` is what an operand may be without a say in the verdict.
    fn join(parts: Vec<Self>, neutral: bool) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match (part.normal(), neutral) {
                (Self::All(inner), true) | (Self::Any(inner), false) => flat.extend(inner),
                (part, _) if part.is_constant(!neutral) => return part,
                (part, _) => flat.push(part),
            }
        }
        flat.sort_by_cached_key(Self::text);
        flat.dedup();
        match (flat.len(), neutral) {
            (1, _) => flat.remove(0),
            (_, true) => Self::All(flat),
            (_, false) => Self::Any(flat),
        }
    }

    /// Two expressions of the same text give the same verdicts.
    fn text(&self) -> String {
        format!("{self:?}")
    }

    fn constant(verdict: bool) -> Self {
        if verdict { Self::All(Vec::new()) } else { Self::Any(Vec::new()) }
    }

    fn is_constant(&self, verdict: bool) -> bool {
        match self {
            Self::All(parts) => verdict && parts.is_empty(),
            Self::Any(parts) => !verdict && parts.is_empty(),
            Self::Not(_) | Self::Test(_) | Self::Element(..) => false,
        }
    }
}

impl Comparison {
    fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else {
            return matches!(self, Self::Ne(_) | Self::Exists(false));
        };
        match self {
            Self::Eq(expected) => equal(value, expected),
            Self::Ne(expected) => !equal(value, expected),
            Self::In(expected) => expected.iter().any(|expected| equal(value, expected)),
            Self::Order(bound, limit) => order(value, limit).is_some_and(|o| bound.admits(o)),
            Self::Exists(present) => *present,
            Self::StartsWith(start) => value.as_str().is_some_and(|s| s.starts_with(&**start)),
            Self::Contains(part) => value.as_str().is_some_and(|s| s.contains(&**part)),
        }
    }
}

impl Bound {
    fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => number::compare(left, right).is_eq(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(key, l)| right.get(key).is_some_and(|r| equal(l, r));
            left.len() == right.len() && left.iter().all(same)
        }
        (left, right) => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(number::compare(left, right)),
        // Bytes of UTF-8 are in the order of code points.
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Condition {}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

#[cfg(test)]
mod tests;
