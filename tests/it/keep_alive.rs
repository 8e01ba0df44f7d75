//! Signs of life, every 25 seconds: this file takes as long, once for everything in it.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::broker::Broker;
use crate::harness::peer::{LEGACY_WS, Peer};
use crate::harness::wait;

/// A moment less than the time between two signs.
const EARLY: Duration = Duration::from_millis(24_500);

/// A client without `resume`: pings of the WebSocket, none of the protocol.
async fn plain(mut peer: Peer) {
    let started = Instant::now();
    let heard = wait::within("a ping", peer.socket.next()).await;
    assert!(matches!(heard, Some(Ok(Message::Ping(_)))), "{heard:?}");
    assert!(started.elapsed() > EARLY, "after {:?}", started.elapsed());
    peer.settle().await;
    assert_eq!(peer.unheard(), 0);
}

/// The older protocol: `ka` with the acknowledgement, and then again.
async fn legacy(mut peer: Peer) {
    peer.send(&json!({"type": "connection_init"})).await;
    assert_eq!(peer.message().await["type"], "connection_ack");
    assert_eq!(peer.message().await["type"], "ka");
    let started = Instant::now();
    assert_eq!(peer.message().await["type"], "ka");
    assert!(started.elapsed() > EARLY, "after {:?}", started.elapsed());
}

/// A client that resumes: the protocol's ping brings a position, and everything due before it.
async fn resuming(broker: &Broker, mut peer: Peer, mut publisher: Peer) {
    let query = "subscription { messages(topics: \"alive\") { payload } }";
    peer.start(query, json!({})).await;
    peer.settle().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let feed = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        let mut number = 0;
        while !stop.is_closed() {
            pace.tick().await;
            publisher.publish("alive", number).await;
            number += 1;
        }
        number
    });
    let mut next = 0;
    let position = loop {
        let message = peer.message().await;
        if message["type"] == "ping" {
            let position = message["payload"]["cursor"].clone();
            assert!(position.is_string(), "{message}");
            break position;
        }
        assert_eq!(message["payload"]["data"]["messages"]["payload"], next);
        next += 1;
    };
    // From there on another connection gets the rest, and may get again what this one has.
    let mut other = broker.peer().await;
    let payload = json!({"query": query, "extensions": {"after": position}});
    let id = other.start_with(payload).await;
    let first = other.next_message(&id).await["payload"].as_i64().unwrap();
    assert!(first <= next, "{next} to {} are lost", first - 1);
    drop(stopped);
    let published = feed.await.unwrap();
    for number in first + 1..published {
        assert_eq!(other.next_message(&id).await["payload"], number);
    }
    peer.send(&json!({"type": "pong", "payload": {"cursor": position}})).await;
    peer.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_25_seconds_there_is_a_sign_of_life() {
    let broker = Broker::with(&["keep.last=100000", "keep.bytes=64MiB"]);
    let resume = json!({"resume": true});
    let quiet = Peer::connect_with(broker.address, &resume).await;
    let fed = Peer::connect_with(broker.address, &resume).await;
    let ack = quiet.ack["cursor"].clone();
    let position = async |mut peer: Peer| -> Value {
        let ping = peer.message().await;
        assert_eq!(ping["type"], "ping");
        ping["payload"]["cursor"].clone()
    };
    let publisher = broker.peer().await;
    let ((), (), (), moved) = tokio::join!(
        plain(broker.peer().await),
        legacy(Peer::open(broker.address, LEGACY_WS).await),
        resuming(&broker, fed, publisher),
        position(quiet),
    );
    // A quiet client's position has moved on with the log.
    assert_ne!(moved, ack);
}
