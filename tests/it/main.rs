//! The program as its users meet it: one binary of tests, one file per topic.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "TIDINGS_BIN, _FULL and _SEED choose what is run")]
#![expect(clippy::print_stdout, reason = "tests print the figures that they measure")]

mod harness;

mod bad_input;
mod browsers;
mod bursts;
mod crash;
mod data_folder;
mod deflate;
mod dialogues;
mod drain;
mod engines;
mod full_disk;
mod handshake;
mod http;
mod http2;
mod keep_alive;
mod limits;
mod metrics;
mod multipart;
mod must_hold;
mod pace;
mod plain;
mod presence;
mod publish;
mod reload;
mod resume;
mod slow;
mod snapshots;
mod sse;
mod stream_limits;
mod subscribe;
mod tls;
mod topics;
mod typed;
mod volatile;
mod websocket;
