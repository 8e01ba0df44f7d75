//! The real program, and clients of it that share no code with it.
//!
//! Comes in: settings of a broker, documents of clients. Goes out: addresses, answers, closings,
//! each within a deadline. Knows nothing of: the crate under test; only its binary is run.

pub(crate) mod broker;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod metrics;
pub(crate) mod peer;
pub(crate) mod random;
pub(crate) mod raw;
pub(crate) mod small_disk;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod wait;
