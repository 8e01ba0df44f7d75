//! A folder of SDL: checked, and what is derived of it.

pub mod derive;
mod filters;
pub mod model;
pub mod names;
