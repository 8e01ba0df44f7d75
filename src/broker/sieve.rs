//! Which of the messages that are read from the log a selection wants.

use std::sync::Arc;

use super::misfits::Misfits;
use super::topics::Topics;
use crate::engine::Accept;
use crate::message::Message;
use crate::plan::Select;

/// Lets a selection's messages through.
#[derive(Debug, Clone)]
pub struct Sieve {
    topics: Arc<Topics>,
    misfits: Arc<Misfits>,
}

impl Sieve {
    /// A sieve by the types that the topics have at the moment of each message.
    pub fn new(topics: Arc<Topics>, misfits: Arc<Misfits>) -> Self {
        Self { topics, misfits }
    }

    /// Does the message, whose topic one of the filters matches, fit its type where it has to, and
    /// does the condition hold?
    pub fn passes(&self, select: &Select, message: &Message) -> bool {
        let fits = || self.misfits.fits(self.topics.ty(&message.topic).as_deref(), message);
        let holds = || {
            let condition = select.condition.as_ref();
            condition.is_none_or(|condition| condition.holds(&message.payload.to_value()))
        };
        (!select.typed || fits()) && holds()
    }

    /// The same as engines take it.
    pub fn accept(&self, select: &Select) -> Accept {
        let (sieve, select) = (self.clone(), select.clone());
        Arc::new(move |message| sieve.passes(&select, message))
    }
}
