//! `where` of a typed topic: what the filter inputs say, as an expression over payloads.
//!
//! A field that is missing in a payload is null to these tests, as it is to GraphQL.

use serde_json::Value as Json;

use super::error::{Code, Error};
use super::input::Value;
use super::raw;
use super::types::{Kind, Shape, Type, TypeId, Types};
use crate::plan::condition::{Bound, Comparison, Expression, Test};
use crate::plan::pointer::Pointer;

/// Compiles filters, and notes the fields that they test.
#[derive(Debug)]
pub struct Compiler<'a> {
    types: &'a Types,
    /// Tests so far: a document of a megabyte must not become a test of a megabyte.
    tests: usize,
    /// Fields of objects that were tested.
    pub tested: Tested,
}

/// Fields of objects.
pub type Tested = Vec<(TypeId, Box<str>)>;

/// Where a value is in the payload, or in an element of a list.
pub type Path = Vec<Box<str>>;

/// Comparisons of one filter.
const TESTS_MAX: usize = 100;

impl<'a> Compiler<'a> {
    /// A compiler of filters over these types.
    pub fn new(types: &'a Types) -> Self {
        Self { types, tests: 0, tested: Vec::new() }
    }

    /// The filter of an object.
    pub fn object(&mut self, object: TypeId, filter: &Value<'_>) -> Result<Expression, Error> {
        self.object_at(object, filter, &mut Vec::new())
    }

    fn object_at(
        &mut self,
        object: TypeId,
        filter: &Value<'_>,
        path: &mut Path,
    ) -> Result<Expression, Error> {
        let mut all = Vec::new();
        for (name, given) in members(filter) {
            let expression = match *name {
                "and" | "or" | "not" if *given == Value::Null => return Err(null(name)),
                "and" => Expression::All(self.each(object, given, path)?),
                "or" => Expression::Any(self.each(object, given, path)?),
                "not" => Expression::Not(Box::new(self.object_at(object, given, path)?)),
                "isNull" => {
                    self.count()?;
                    is_null(path, given)?
                }
                field => match self.types.field(object, field).map(|field| &field.ty) {
                    Some(ty) => {
                        self.tested.push((object, field.into()));
                        path.push(field.into());
                        let expression = self.value_at(ty, field, given, path)?;
                        path.pop();
                        expression
                    }
                    // The input has no other fields.
                    None => continue,
                },
            };
            all.push(expression);
        }
        Ok(Expression::All(all))
    }

    fn each(
        &mut self,
        object: TypeId,
        filters: &Value<'_>,
        path: &mut Path,
    ) -> Result<Vec<Expression>, Error> {
        let Value::List(filters) = filters else { return Ok(Vec::new()) };
        filters.iter().map(|filter| self.object_at(object, filter, path)).collect()
    }

    fn value_at(
        &mut self,
        ty: &Type,
        field: &str,
        filter: &Value<'_>,
        path: &mut Path,
    ) -> Result<Expression, Error> {
        if *filter == Value::Null {
            return Err(null(field));
        }
        match &ty.shape {
            Shape::Named(id) if matches!(self.types.named(*id).kind, Kind::Object(_)) => {
                self.object_at(*id, filter, path)
            }
            Shape::List(item) => self.list_at(item, filter, path),
            Shape::Named(_) => self.leaf_at(filter, path),
        }
    }

    fn list_at(
        &mut self,
        item: &Type,
        filter: &Value<'_>,
        path: &mut Path,
    ) -> Result<Expression, Error> {
        let mut all = Vec::new();
        for (name, given) in members(filter) {
            all.push(match *name {
                "any" => {
                    self.count()?;
                    let element = self.value_at(item, name, given, &mut Vec::new())?;
                    Expression::Element(pointer(path), Box::new(element))
                }
                _ => self.comparison(name, given, path)?,
            });
        }
        Ok(Expression::All(all))
    }

    fn leaf_at(&mut self, filter: &Value<'_>, path: &Path) -> Result<Expression, Error> {
        let members = members(filter).iter();
        let all = members.map(|(name, given)| self.comparison(name, given, path));
        Ok(Expression::All(all.collect::<Result<_, _>>()?))
    }

    fn comparison(
        &mut self,
        name: &str,
        given: &Value<'_>,
        path: &Path,
    ) -> Result<Expression, Error> {
        self.count()?;
        let order = |bound| Comparison::Order(bound, json(given));
        let text = || given.as_text().unwrap_or_default().to_owned();
        let comparison = match (name, given) {
            ("isNull", _) => return is_null(path, given),
            ("eq", Value::Null) => return Ok(null_at(path)),
            ("ne", Value::Null) => return Ok(Expression::Not(Box::new(null_at(path)))),
            (_, Value::Null) => return Err(null(name)),
            ("eq", _) => Comparison::Eq(json(given)),
            ("ne", _) => Comparison::Ne(json(given)),
            ("lt", _) => order(Bound::Less),
            ("lte", _) => order(Bound::LessOrEqual),
            ("gt", _) => order(Bound::Greater),
            ("gte", _) => order(Bound::GreaterOrEqual),
            ("startsWith", _) => Comparison::StartsWith(text()),
            ("contains", _) => Comparison::Contains(text()),
            (_, Value::List(items)) => Comparison::In(one_of(items)?),
            _ => Comparison::In(Vec::new()),
        };
        Ok(test(path, comparison))
    }

    fn count(&mut self) -> Result<(), Error> {
        self.tests += 1;
        if self.tests > TESTS_MAX {
            let message = format!("`where` has more than {TESTS_MAX} tests");
            return Err(Error::new(Code::LimitExceeded, message));
        }
        Ok(())
    }
}

fn members<'v, 'a>(filter: &'v Value<'a>) -> &'v [(&'a str, Value<'a>)] {
    match filter {
        Value::Object(members) => members,
        _ => &[],
    }
}

fn is_null(path: &Path, given: &Value<'_>) -> Result<Expression, Error> {
    match given {
        Value::Boolean(true) => Ok(null_at(path)),
        Value::Boolean(false) => Ok(Expression::Not(Box::new(null_at(path)))),
        _ => Err(null("isNull")),
    }
}

/// The values of an `in`: each message may be compared with all of them.
pub fn one_of(values: &[Value<'_>]) -> Result<Vec<Json>, Error> {
    const VALUES_MAX: usize = 1000;
    if values.len() > VALUES_MAX {
        let message = format!("`in` has {} values, over {VALUES_MAX}", values.len());
        return Err(Error::new(Code::LimitExceeded, message));
    }
    Ok(values.iter().map(json).collect())
}

/// Passes what is null there, or missing.
pub fn null_at(path: &Path) -> Expression {
    Expression::Any(vec![
        test(path, Comparison::Exists(false)),
        test(path, Comparison::Eq(Json::Null)),
    ])
}

fn test(path: &Path, comparison: Comparison) -> Expression {
    Expression::Test(Test { pointer: pointer(path), comparison })
}

fn pointer(path: &Path) -> Pointer {
    Pointer::of(path.iter().cloned())
}

/// The value as a tree.
pub fn json(value: &Value<'_>) -> Json {
    if let Value::Json(json) = value {
        return json.to_value();
    }
    let mut text = String::new();
    raw::write_value(value, &mut text);
    // What has been coerced is JSON.
    serde_json::from_str(&text).unwrap_or_default()
}

/// Null where a test needs a value: it might be meant as "no test" or as "is null".
fn null(name: &str) -> Error {
    let message = format!(
        "`{name}` is null in `where`, which is no test; leave it out, or use `isNull: true`"
    );
    Error::argument("where", message)
}
