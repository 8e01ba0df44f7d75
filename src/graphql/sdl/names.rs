//! The names that are derived of a typed topic.

use super::model::TypedTopic;

/// The fields and arguments that stand for one typed topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Field of `Subscription`.
    pub subscription: String,
    /// Field of `Query`: the newest message.
    pub newest: String,
    /// Field of `Query`: messages kept.
    pub history: String,
    /// Field of `Mutation`.
    pub publish: String,
    /// Field of `Mutation`: several.
    pub publish_many: String,
    /// Argument of `publish`.
    pub argument: String,
    /// Argument of `publish_many`.
    pub arguments: String,
}

impl Names {
    /// The names of a typed topic.
    pub fn of(topic: &TypedTopic) -> Self {
        let stem = &topic.stem;
        let mut letters = stem.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        let upper: String = first.into_iter().chain(letters).collect();
        Self {
            subscription: stem.clone(),
            newest: stem.clone(),
            history: format!("{stem}History"),
            publish: format!("publish{upper}"),
            publish_many: format!("publishMany{upper}"),
            argument: stem.clone(),
            arguments: format!("{stem}s"),
        }
    }
}
