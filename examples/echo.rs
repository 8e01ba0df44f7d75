//! A WebSocket server on Tidings' own connections that sends every message back, for conformance
//! suites such as Autobahn's.
//!
//! `cargo run --release --example echo 127.0.0.1:9002`; the path is `/graphql`.

use std::process::ExitCode;
use std::time::Duration;

use tidings::cli::serve;
use tidings::config::Config;
use tidings::connection::Options;

/// The suite sends messages of 16 MiB.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
const DAY: Duration = Duration::from_hours(24);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is a program for the command line")]
async fn run() -> Result<(), String> {
    let listen = std::env::args().nth(1).ok_or("give the address to listen on")?;
    let mut config = Config::load(None, [], Vec::new()).map_err(|faults| format!("{faults:?}"))?;
    config.server.listen = listen.parse().map_err(|error| format!("{listen:?}: {error}"))?;
    config.server.admin_listen = None;
    let options = Options {
        echo: true,
        message_bytes_max: MESSAGE_BYTES_MAX,
        // Nobody says hello here, and suites count our pings among their own.
        init_timeout: DAY,
        ping_interval: DAY,
        idle_timeout: DAY,
        ..serve::connection_options(&config)
    };
    let handle = serve::start_with(&config, &options)?;
    println!("echoes on ws://{}/graphql", handle.address);
    tokio::signal::ctrl_c().await.map_err(|error| error.to_string())?;
    handle.drain().await;
    Ok(())
}
