//! Tidings: a pub/sub message broker whose interface is GraphQL over WebSocket.
//!
//! A message goes down this list and its deliveries come up it as data; a folder imports only
//! from rows below its own, never from its own row:
//!
//! | row | folder |
//! | --- | --- |
//! | 0 | `cli`, `config`, `telemetry` |
//! | 1 | `server` |
//! | 2 | `connection` |
//! | 3 | `graphql` |
//! | 4 | `broker` |
//! | 5 | `engine`, `protocol`, `websocket`, `plan` |
//! | 6 | `message` |

pub mod cli;
pub mod config;
pub mod telemetry;

pub mod server;

pub mod connection;

pub mod graphql;

pub mod broker;

pub mod engine;
pub mod plan;
pub mod protocol;
pub mod websocket;

pub mod message;
