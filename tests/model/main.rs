//! Models: pure parts and the broker, driven by random schedules against naive predictions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod catch_up;
mod late;
mod snapshots;
mod upkeep;
