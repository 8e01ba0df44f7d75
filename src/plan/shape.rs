//! Payload types as data, and whether the text of a payload fits one: in one pass, without a tree.

use smallvec::SmallVec;

use super::scan::Scan;

/// A payload type: objects that refer to each other by their places, and the one to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    objects: Box<[ObjectShape]>,
    /// For each object the places of its fields in the order of their names.
    by_name: Box<[Box<[usize]>]>,
    root: ValueShape,
}

/// An object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectShape {
    /// Its fields, in declared order.
    pub fields: Vec<FieldShape>,
    /// Exactly one of the fields has a value (`@oneOf`).
    pub is_one_of: bool,
}

/// A field of an object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldShape {
    /// Its name.
    pub name: Box<str>,
    /// What it holds.
    pub value: ValueShape,
}

/// A type as it is used by a field or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueShape {
    /// Neither null nor missing.
    pub required: bool,
    /// What it is, if it is not null.
    pub kind: Kind,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A scalar or an enum.
    Leaf(Leaf),
    /// The object of this place.
    Object(usize),
    /// A list of these.
    List(Box<ValueShape>),
}

/// What a leaf may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// An integer of 32 bits, written without fraction and exponent.
    Int,
    /// A finite number.
    Float,
    /// A string.
    String,
    /// `true` or `false`.
    Boolean,
    /// A string.
    Id,
    /// A string as [`Timestamp`] displays it.
    DateTime,
    /// One of these strings.
    Enum(Box<[Box<str>]>),
    /// Anything but null.
    Any,
}

/// Where and why a payload does not fit. It holds nothing of the payload but positions in lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?}: {reason}")]
pub struct Misfit {
    /// JSON Pointer to the value.
    pub path: String,
    /// What would be right, and what is there.
    pub reason: String,
}

impl Shape {
    /// A type made of these objects; `root` is the place of the payload's own. Every place that is
    /// referred to has to be one of `objects`: what refers to another never fits.
    pub fn new(objects: Vec<ObjectShape>, root: usize) -> Self {
        let by_name = |object: &ObjectShape| {
            let mut places: Vec<usize> = (0..object.fields.len()).collect();
            places.sort_by_key(|place| &object.fields[*place].name);
            places.into()
        };
        Self {
            by_name: objects.iter().map(by_name).collect(),
            objects: objects.into(),
            root: ValueShape { required: true, kind: Kind::Object(root) },
        }
    }

    /// Does the payload fit? It has to be as [`Json`](crate::message::json::Json) holds it. Fields
    /// may stand in any order, each once; unknown ones do not matter, missing ones are null.
    pub fn fits(&self, payload: &str) -> Result<(), Misfit> {
        self.check(&self.root, &mut Scan::new(payload)).map(|_| ()).map_err(Fault::misfit)
    }

    /// Takes the value that begins here, and says whether there is one, which null is not.
    fn check(&self, value: &ValueShape, scan: &mut Scan<'_>) -> Result<bool, Fault> {
        match (&value.kind, scan.peek()) {
            (_, Some(b'n')) => {
                scan.value();
                if value.required { Err(value.fault("null")) } else { Ok(false) }
            }
            (Kind::Leaf(leaf), _) => {
                let text = scan.value();
                if leaf.fits(text) { Ok(true) } else { Err(value.fault(kind_of(text))) }
            }
            (Kind::Object(place), Some(b'{')) => self.check_object(*place, scan).map(|()| true),
            (Kind::List(item), Some(b'[')) => {
                let mut index = 0_usize;
                while scan.element() {
                    self.check(item, scan).map_err(|fault| fault.under(&index))?;
                    index += 1;
                }
                Ok(true)
            }
            (Kind::Object(_) | Kind::List(_), _) => Err(value.fault(kind_of(scan.value()))),
        }
    }

    fn check_object(&self, place: usize, scan: &mut Scan<'_>) -> Result<(), Fault> {
        let object = self.objects.get(place).zip(self.by_name.get(place));
        let Some((object, by_name)) = object else { return Err(Fault::new("has no type")) };
        let mut found: Presence = SmallVec::from_elem(None, object.fields.len());
        let mut next = 0;
        while let Some(key) = scan.key() {
            let place = key.name().and_then(|key| find(object, by_name, next, &key));
            let Some(place) = place else {
                scan.value();
                continue;
            };
            let field = &object.fields[place];
            if found[place].is_some() {
                return Err(Fault::new("expected once, found again").under(&field.name));
            }
            let checked = self.check(&field.value, scan);
            found[place] = Some(checked.map_err(|fault| fault.under(&field.name))?);
            next = place + 1;
        }
        object.check_presence(&found)
    }
}

/// For each field: was it there, and with a value?
type Presence = SmallVec<[Option<bool>; 32]>;

impl ObjectShape {
    fn check_presence(&self, found: &Presence) -> Result<(), Fault> {
        let is_missing =
            |(field, found): &(&FieldShape, &Option<bool>)| field.value.required && found.is_none();
        if let Some((field, _)) = self.fields.iter().zip(found).find(is_missing) {
            return Err(field.value.fault("nothing").under(&field.name));
        }
        if self.is_one_of {
            let count = found.iter().filter(|found| **found == Some(true)).count();
            if count != 1 {
                let reason = format!("expected exactly one field with a value, found {count}");
                return Err(Fault::new(reason));
            }
        }
        Ok(())
    }
}

impl ValueShape {
    fn fault(&self, found: &str) -> Fault {
        let expected = match &self.kind {
            Kind::Object(_) => "an object",
            Kind::List(_) => "a list",
            Kind::Leaf(leaf) => leaf.expected(),
        };
        Fault::new(format!("expected {expected}, found {found}"))
    }
}

/// A misfit on its way out: its keys come from the innermost to the outermost.
struct Fault(Box<(Vec<String>, String)>);

impl Fault {
    fn new(reason: impl Into<String>) -> Self {
        Self(Box::new((Vec::new(), reason.into())))
    }

    fn under(mut self, key: &impl ToString) -> Self {
        self.0.0.push(key.to_string());
        self
    }

    fn misfit(self) -> Misfit {
        let (keys, reason) = *self.0;
        let mut path = String::new();
        for key in keys.iter().rev() {
            path.push('/');
            path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        }
        Misfit { path, reason }
    }
}

/// The place of a field; `next` is where it is when the payload keeps the declared order.
fn find(object: &ObjectShape, by_name: &[usize], next: usize, key: &str) -> Option<usize> {
    if object.fields.get(next).is_some_and(|field| *field.name == *key) {
        return Some(next);
    }
    let found = by_name.binary_search_by(|place| (*object.fields[*place].name).cmp(key));
    found.ok().map(|at| by_name[at])
}

/// What a JSON text is, in words that hold nothing of it.
fn kind_of(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests;
