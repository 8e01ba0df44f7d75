//! What of a broker can change while it serves.

use std::sync::atomic::Ordering;

use super::{Broker, Options};
use crate::engine::Bounds;
use crate::engine::retention::Retention;

impl Broker {
    /// Takes over what can change while it serves: the limits and rules of these options. The
    /// number of shards, the memory for encoded results and the node's name stay as they were.
    pub fn set_options(&self, options: Options) {
        self.payload_bytes_max.store(options.payload_bytes_max, Ordering::Relaxed);
        self.admission.set_rate(options.publishes_per_second_max);
        self.topics.set_rules(options.topic_rules);
    }

    /// Other rules of what is kept, as [`Engine::set_retention`] takes them over.
    pub fn set_retention(&self, retention: Retention) {
        self.engine.set_retention(retention);
    }

    /// Other bounds of what is kept, as [`Engine::set_bounds`] takes them over.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.engine.set_bounds(bounds);
    }
}
