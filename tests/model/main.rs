//! Models: pure parts and the broker, driven by random schedules against naive predictions.

mod catch_up;
