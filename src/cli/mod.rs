//! shim
pub mod serve;
