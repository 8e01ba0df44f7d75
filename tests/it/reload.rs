//! Reload: a broker takes over another configuration and closes nothing.

mod files;
mod limits;
mod typed;

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::broker::{Broker, program};
use crate::harness::metrics::Metrics;
use crate::harness::peer::{LEGACY_WS, Peer};
use crate::harness::stream::Stream;
use crate::harness::tls::Authority;
use crate::harness::wait;

/// A broker with a configuration file that can be written anew, and its log.
struct Reloading {
    broker: Broker,
    folder: TempDir,
    /// Outcomes of reloads that were looked at.
    seen: usize,
}

impl Reloading {
    fn start(config: &str) -> Self {
        Self::with(config, &[])
    }

    fn with(config: &str, flags: &[&str]) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), config, flags)
    }

    fn in_folder(folder: TempDir, config: &str, flags: &[&str]) -> Self {
        let file = folder.path().join("tidings.toml");
        std::fs::write(&file, config).unwrap();
        let broker = Broker::of_file(&file, flags, &folder.path().join("log"));
        Self { broker, folder, seen: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, config: &str) {
        std::fs::write(self.path("tidings.toml"), config).unwrap();
    }

    /// Reloads with this configuration, and says what the log says of it.
    async fn reload(&mut self, config: &str) -> String {
        self.write(config);
        self.broker.signal("HUP");
        self.outcome().await
    }

    /// Waits for the next reload to be done; what the log says of it.
    async fn outcome(&mut self) -> String {
        let (log, seen) = (self.path("log"), self.seen);
        self.seen += 1;
        wait::until("it has reloaded", async || {
            let text = std::fs::read_to_string(&log).unwrap();
            let whole = &text[..=text.rfind('\n')?];
            let start = whole.match_indices("reloaded: ").nth(seen)?.0;
            Some(whole[start..].trim_start_matches("reloaded: ").trim_end().to_owned())
        })
        .await
    }

    /// All of the log.
    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// The limits as clients see them.
    async fn limits(&self, peer: &mut Peer) -> Value {
        peer.ask("{ broker { limits } }", json!({})).await["broker"]["limits"].take()
    }
}

#[tokio::test]
async fn subscriptions_get_every_message_once_across_reloads() {
    const RELOADS: u64 = 20;
    let mut reloading = Reloading::start("[keep]\nlast = 100000\n");
    let address = reloading.broker.address;
    let mut live = Peer::connect(address).await;
    let mut older = Peer::open(address, LEGACY_WS).await.acknowledged(&json!({})).await;
    let path = "/topics/load.a?after=earliest";
    let mut plain =
        Stream::open(address, "GET", path, &[("Accept", "text/event-stream")], "").await;
    let of_live = live.follow("topics: \"load.*\"").await;
    let query = "subscription { messages(topics: \"load.*\") { payload } }";
    older.send(&json!({"id": "1", "type": "start", "payload": {"query": query}})).await;
    let query = json!({"query": "{ __typename }"});
    older.send(&json!({"id": "2", "type": "start", "payload": query})).await;
    while older.message().await["type"] != "complete" {}
    live.settle().await;

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(publish_until(Peer::connect(address).await, stopped));
    let (mut after, mut resumed) = (live.ack["cursor"].clone(), 0);
    for number in 1..=RELOADS {
        // The rules of the topic change as well, and keep enough.
        let overflow =
            ["DISCONNECT", "DROP_OLDEST", "CONFLATE"][usize::try_from(number % 3).unwrap()];
        let outcome = reloading
            .reload(&format!(
                "[limits]\noutbox_messages = {}\n[keep]\nlast = 100000\n\
                 [[topics]]\nmatch = \"load.*\"\nkeep = {{last = {}}}\noverflow = \"{overflow}\"",
                20_000 + number,
                50_000 + number,
            ))
            .await;
        assert_eq!(outcome, "limits.outbox_messages, topics", "{number}");
        // One that resumes each time from where it was.
        let mut peer = Peer::connect(address).await;
        let id = peer.follow(&format!("topics: \"load.*\", after: {after}")).await;
        for _ in 0..5 {
            let message = peer.next_message(&id).await;
            assert_eq!(message["payload"], resumed);
            after = message["cursor"].clone();
            resumed += 1;
        }
    }
    stop.send(()).unwrap();
    let published = writer.await.unwrap();
    live.expect_numbers(&of_live, 0..published).await;
    for number in 0..published {
        let message = older.message_for("1").await;
        assert_eq!(message["payload"]["data"]["messages"]["payload"], number);
        assert_eq!(plain.message().await.json()["payload"], number);
    }
    let metrics = Metrics::of(&reloading.broker).await;
    assert!(!metrics.text.contains("tidings_dropped_total{"), "{}", metrics.text);
    assert_eq!(metrics.count("tidings_closed_total{code=\"1013\"}"), 0);
}

/// Publishes numbers until it is told to stop, and says how many.
async fn publish_until(mut peer: Peer, mut stopped: tokio::sync::oneshot::Receiver<()>) -> i32 {
    let mut number = 0;
    while stopped.try_recv().is_err() {
        peer.publish("load.a", number).await;
        number += 1;
    }
    number
}

#[tokio::test]
async fn what_is_wrong_changes_nothing_and_is_told_as_check_tells_it() {
    let good = "[limits]\npayload_bytes = 2000\n";
    let mut reloading = Reloading::start(good);
    let mut peer = reloading.broker.peer().await;
    let id = peer.follow("topics: \"a\"").await;
    let before = reloading.limits(&mut peer).await;
    let table = [
        "[limits]\npayload_bytes = 1000\nquery_depth = 0\n",
        "[limits]\npayload_bytes = 1000\n[log]\nlevel = \"loud\"\nformat = 3\n",
        "[limits\n",
        "[limits]\npayload_bytes = 1000\n[[topics]]\nkeep = {last = 1}\n",
        "[server]\ntls_cert = \"none.pem\"\ntls_key = \"none.pem\"\n[limits]\npayload_bytes = 9\n",
    ];
    for wrong in table {
        let outcome = reloading.reload(wrong).await;
        let file = reloading.path("tidings.toml");
        let output = program().args(["check", "--config"]).arg(file).output().unwrap();
        let checked = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{wrong}: {checked}");
        let told: Vec<String> = outcome.lines().map(|line| format!("tidings: {line}")).collect();
        assert_eq!(told.join("\n"), checked.trim_end(), "{wrong}");
        assert_eq!(reloading.limits(&mut peer).await, before, "{wrong}");
    }
    let wrong = reloading.log().lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(wrong, table.len());
    assert_eq!(reloading.reload(good).await, "nothing has changed");
    peer.publish("a", "x".repeat(1900)).await;
    assert_eq!(peer.next_message(&id).await["payload"], "x".repeat(1900));
}

#[tokio::test]
async fn what_needs_a_start_is_said_each_time_and_the_rest_is_taken_over() {
    let mut reloading = Reloading::start("");
    let mut peer = reloading.broker.peer().await;
    let later = "[server]\nadmin_listen = \"127.0.0.1:1\"\nshards = 7\norigins = [\"*\"]\n\
                 [log]\nformat = \"json\"";
    for taken in ["server.origins", "nothing has changed"] {
        let outcome = reloading.reload(later).await;
        assert_eq!(outcome.lines().next(), Some(taken));
        // The flags of this broker have its addresses.
        let waiting = "server.shards, log.format changed in the file; they take effect at the \
                       next start";
        wait::until("it is said", async || {
            reloading.log().ends_with(&format!("{waiting}\n")).then_some(())
        })
        .await;
    }
    assert_eq!(
        reloading.reload("[server]\nshards = 7").await.lines().next(),
        Some("server.origins")
    );
    let waiting = "server.shards changed in the file; it takes effect at the next start\n";
    wait::until("it is said", async || reloading.log().ends_with(waiting).then_some(())).await;
    // TLS stays off, and what is there for the next start is sound.
    let authority = Authority::new();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| authority.file(name));
    let secure = format!("[server]\ntls_cert = {cert:?}\ntls_key = {key:?}");
    assert_eq!(reloading.reload(&secure).await.lines().next(), Some("nothing has changed"));
    let waiting = "server.tls_cert, server.tls_key changed in the file; they take effect at the \
                   next start\n";
    wait::until("it is said", async || reloading.log().ends_with(waiting).then_some(())).await;
    peer.publish("a", 1).await;
    reloading.broker.peer().await.publish("a", 2).await;
}
