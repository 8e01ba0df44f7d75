//! What does not fit its type, where it is, and the errors that it becomes.

use super::error::{Error, Segment};

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where inside the value.
    pub path: Vec<Segment>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What of the arguments of a field is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// What is called `payload`, if anything.
    Named,
    /// The argument of this name; of a list the items, and paths begin with their indices.
    Argument(Box<str>),
}

impl Payload {
    /// The part of a path from a field's arguments on that lies within a payload.
    fn within<'p>(&self, path: &'p [Segment]) -> Option<&'p [Segment]> {
        let is_key =
            |segment: &Segment, name: &str| matches!(segment, Segment::Key(key) if **key == *name);
        match self {
            Self::Named => {
                let at = path.iter().position(|segment| is_key(segment, "payload"))?;
                path.get(at + 1..)
            }
            Self::Argument(name) => is_key(path.first()?, name).then(|| &path[1..]),
        }
    }

    /// The errors that these faults are, each with its sentence and its path from the arguments
    /// on: those within a payload are one error with all of them.
    pub fn errors(
        &self,
        argument: &str,
        faults: Vec<(Vec<Segment>, String, String)>,
    ) -> Vec<Error> {
        let mut errors = Vec::new();
        let mut first = None;
        let mut within = Vec::new();
        for (path, message, sentence) in faults {
            match self.within(&path) {
                Some(inside) => {
                    within.push((inside.to_vec(), message));
                    first.get_or_insert((errors.len(), sentence));
                }
                None => errors.push(Error::argument(argument, sentence)),
            }
        }
        if let Some((place, sentence)) = first {
            errors.insert(place, Error::payload(&within, sentence).with("argument", argument));
        }
        errors
    }
}
