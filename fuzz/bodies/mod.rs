//! What the fuzz targets do with an input, as functions that `cargo test` runs as well.
//!
//! Each module has one `run`, which panics where the program breaks a promise.

pub mod config;
pub mod cursor;
pub mod filters;
pub mod frames;
pub mod graphql;
pub mod handshake;
pub mod inflate;
pub mod json;
pub mod messages;
pub mod sdl;
pub mod session;

mod bytes;
