//! Presence: who is there, and that it is noticed however somebody goes.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::peer::Peer;
use crate::harness::raw::{CLOSE, Raw, TEXT, frame, subscribe};

const FIELDS: &str = "{ kind member { connection subject state } }";

async fn join(peer: &mut Peer, topic: &str, state: Value) -> String {
    let query =
        format!("subscription ($t: String!, $s: JSON) {{ join(topic: $t, state: $s) {FIELDS} }}");
    peer.start(&query, json!({"t": topic, "s": state})).await
}

async fn watch(peer: &mut Peer, topic: &str) -> String {
    let query = format!("subscription ($t: String!) {{ presence(topic: $t) {FIELDS} }}");
    peer.start(&query, json!({"t": topic})).await
}

/// The next event: what happened, to whom, with which state.
async fn event(peer: &mut Peer, id: &str) -> (String, String, Value) {
    let result = peer.next(id).await;
    assert!(result.get("errors").is_none(), "{result}");
    let data = result["data"].as_object().unwrap();
    let event = data.get("join").or_else(|| data.get("presence")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let member = &event["member"];
    assert_eq!(member["subject"], Value::Null);
    (text(&event["kind"]), text(&member["connection"]), member["state"].clone())
}

async fn expect(peer: &mut Peer, id: &str, kind: &str, who: &str, state: Value) {
    assert_eq!(event(peer, id).await, (kind.to_owned(), who.to_owned(), state));
}

async fn members(peer: &mut Peer, topic: &str) -> Vec<(String, Value)> {
    let query = "query ($t: String!) { presence(topic: $t) { connection state joinedAt } }";
    let data = peer.ask(query, json!({"t": topic})).await;
    let members = data["presence"].as_array().unwrap();
    let name = |member: &Value| member["connection"].as_str().unwrap().to_owned();
    members.iter().map(|member| (name(member), member["state"].clone())).collect()
}

#[tokio::test]
async fn first_everybody_present_and_then_every_change() {
    let broker = Broker::start();
    let (mut ann, mut bob, mut eve) =
        (broker.peer().await, broker.peer().await, broker.peer().await);
    let (a, b) = (ann.id().to_owned(), bob.id().to_owned());

    let ann_joins = join(&mut ann, "room", json!({"name": "Ann"})).await;
    expect(&mut ann, &ann_joins, "PRESENT", &a, json!({"name": "Ann"})).await;
    let bob_joins = join(&mut bob, "room", Value::Null).await;
    expect(&mut bob, &bob_joins, "PRESENT", &a, json!({"name": "Ann"})).await;
    expect(&mut bob, &bob_joins, "PRESENT", &b, Value::Null).await;
    expect(&mut ann, &ann_joins, "JOINED", &b, Value::Null).await;

    // Who watches is not a member.
    let eve_watches = watch(&mut eve, "room").await;
    expect(&mut eve, &eve_watches, "PRESENT", &a, json!({"name": "Ann"})).await;
    expect(&mut eve, &eve_watches, "PRESENT", &b, Value::Null).await;
    let expected = [(a.clone(), json!({"name": "Ann"})), (b.clone(), Value::Null)];
    assert_eq!(members(&mut eve, "room").await, expected);

    let update = "mutation ($t: String!, $s: JSON!) { updatePresence(topic: $t, state: $s) }";
    let changed = bob.ask(update, json!({"t": "room", "s": [1, 2]})).await;
    assert_eq!(changed["updatePresence"], true);
    for (peer, id) in [(&mut ann, &ann_joins), (&mut bob, &bob_joins), (&mut eve, &eve_watches)] {
        expect(peer, id, "UPDATED", &b, json!([1, 2])).await;
    }
    // Who is not there has nothing to update, and nobody hears of it.
    let changed = eve.ask(update, json!({"t": "room", "s": 3})).await;
    assert_eq!(changed["updatePresence"], false);
    let changed = ann.ask(update, json!({"t": "other", "s": 3})).await;
    assert_eq!(changed["updatePresence"], false);

    bob.send(&json!({"id": bob_joins, "type": "complete"})).await;
    expect(&mut ann, &ann_joins, "LEFT", &b, json!([1, 2])).await;
    expect(&mut eve, &eve_watches, "LEFT", &b, json!([1, 2])).await;
    assert_eq!(members(&mut eve, "room").await, [(a, json!({"name": "Ann"}))]);
    assert_eq!(members(&mut eve, "elsewhere").await, []);
}

#[tokio::test]
async fn several_joins_of_a_connection_are_one_member() {
    let broker = Broker::start();
    let (mut ann, mut eve) = (broker.peer().await, broker.peer().await);
    let a = ann.id().to_owned();
    let watching = watch(&mut eve, "twice").await;
    eve.settle().await;
    let first = join(&mut ann, "twice", json!(1)).await;
    expect(&mut eve, &watching, "JOINED", &a, json!(1)).await;
    let second = join(&mut ann, "twice", json!(2)).await;
    expect(&mut eve, &watching, "UPDATED", &a, json!(2)).await;
    expect(&mut ann, &second, "PRESENT", &a, json!(2)).await;
    // Without a state of its own it leaves the state alone.
    let third = join(&mut ann, "twice", Value::Null).await;
    expect(&mut ann, &third, "PRESENT", &a, json!(2)).await;
    for id in [&first, &third] {
        ann.send(&json!({"id": id, "type": "complete"})).await;
    }
    ann.settle().await;
    assert_eq!(members(&mut eve, "twice").await, [(a.clone(), json!(2))]);
    ann.send(&json!({"id": second, "type": "complete"})).await;
    // The next that is heard is that the last of them has ended.
    expect(&mut eve, &watching, "LEFT", &a, json!(2)).await;
}

/// A member that speaks by the byte.
async fn raw_member(broker: &Broker, eve: &mut Peer, watching: &str) -> (Raw, String) {
    let mut raw = Raw::connect(broker.address).await.acknowledged().await;
    let join = "subscription { join(topic: \"exits\", state: 7) { kind } }";
    raw.write(&subscribe("1", join, "{}")).await;
    let (kind, who, state) = event(eve, watching).await;
    assert_eq!((kind.as_str(), state), ("JOINED", json!(7)));
    (raw, who)
}

#[tokio::test]
async fn every_way_to_go_is_noticed() {
    let broker = Broker::start();
    let mut eve = broker.peer().await;
    let watching = watch(&mut eve, "exits").await;
    eve.settle().await;

    let (mut raw, who) = raw_member(&broker, &mut eve, &watching).await;
    raw.write(&frame(TEXT, br#"{"id":"1","type":"complete"}"#)).await;
    expect(&mut eve, &watching, "LEFT", &who, json!(7)).await;

    let (mut raw, who) = raw_member(&broker, &mut eve, &watching).await;
    raw.write(&frame(CLOSE, &1000_u16.to_be_bytes())).await;
    expect(&mut eve, &watching, "LEFT", &who, json!(7)).await;

    let (raw, who) = raw_member(&broker, &mut eve, &watching).await;
    raw.reset();
    expect(&mut eve, &watching, "LEFT", &who, json!(7)).await;

    let (raw, who) = raw_member(&broker, &mut eve, &watching).await;
    drop(raw);
    expect(&mut eve, &watching, "LEFT", &who, json!(7)).await;

    // It breaks the protocol.
    let (mut raw, who) = raw_member(&broker, &mut eve, &watching).await;
    raw.write(&frame(TEXT, b"nonsense")).await;
    expect(&mut eve, &watching, "LEFT", &who, json!(7)).await;

    // An administrator ends it.
    let (_raw, who) = raw_member(&broker, &mut eve, &watching).await;
    let end = "mutation ($c: String) { disconnect(connection: $c) }";
    assert_eq!(eve.ask(end, json!({"c": who})).await["disconnect"], 1);
    expect(&mut eve, &watching, "LEFT", &who, json!(7)).await;
    assert_eq!(members(&mut eve, "exits").await, []);
}

#[tokio::test]
async fn the_killed_process_of_a_client_is_noticed() {
    let broker = Broker::start();
    let mut eve = broker.peer().await;
    let watching = watch(&mut eve, "killed").await;
    eve.settle().await;
    // Another process with a connection of its own: a shell that keeps the socket open.
    let port = broker.address.port();
    let script = format!(
        r"exec 3<>/dev/tcp/127.0.0.1/{port}
        printf 'GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n' >&3
        printf 'Connection: Upgrade\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n' >&3
        printf 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' >&3
        printf '\r\n\r\n' >&3
        cat - >&3; read -u 3 -r nothing; sleep 1000"
    );
    let mut client = std::process::Command::new("bash")
        .args(["-c", &script])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut bytes = frame(TEXT, br#"{"type":"connection_init"}"#);
    bytes.extend(subscribe("1", "subscription { join(topic: \"killed\") { kind } }", "{}"));
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), &bytes).unwrap();
    let (kind, who, _) = event(&mut eve, &watching).await;
    assert_eq!(kind, "JOINED");
    client.kill().unwrap();
    client.wait().unwrap();
    expect(&mut eve, &watching, "LEFT", &who, Value::Null).await;
}

#[tokio::test]
async fn many_members_come_and_go_and_nobody_is_left() {
    const MEMBERS: usize = 50;
    let broker = Broker::start();
    let mut eve = broker.peer().await;
    let watching = watch(&mut eve, "crowd").await;
    eve.settle().await;
    let mut crowd = Vec::new();
    for number in 0..MEMBERS {
        let mut peer = broker.peer().await;
        join(&mut peer, "crowd", json!(number)).await;
        crowd.push(peer);
    }
    for _ in 0..MEMBERS {
        assert_eq!(event(&mut eve, &watching).await.0, "JOINED");
    }
    assert_eq!(members(&mut eve, "crowd").await.len(), MEMBERS);
    drop(crowd);
    let mut gone = Vec::new();
    for _ in 0..MEMBERS {
        let (kind, who, _) = event(&mut eve, &watching).await;
        assert_eq!(kind, "LEFT");
        gone.push(who);
    }
    gone.sort();
    gone.dedup();
    assert_eq!(gone.len(), MEMBERS);
    assert_eq!(members(&mut eve, "crowd").await, []);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_told_that_it_lost_track() {
    let broker = Broker::with(&["limits.outbox_bytes=64KiB"]);
    let mut ann = broker.peer().await;
    let mut raw = Raw::connect_narrow(broker.address).await.acknowledged().await;
    let watch = "subscription { presence(topic: \"busy\") { kind member { state } } }";
    raw.write(&subscribe("1", watch, "{}")).await;
    let joined = join(&mut ann, "busy", json!(0)).await;
    event(&mut ann, &joined).await;
    // Ann herself reads, and the broker holds little for the other one: it takes what is sent until
    // the kernel is full, and then up to 1,024 changes.
    let update = "mutation ($s: JSON!) { updatePresence(topic: \"busy\", state: $s) }";
    let filler = "x".repeat(4 << 10);
    for number in 1..=3_000 {
        ann.ask(update, json!({"s": [number, filler]})).await;
        assert_eq!(event(&mut ann, &joined).await.2[0], number);
    }
    let mut last = 0;
    let errors = loop {
        let message: Value = serde_json::from_str(&raw.text().await).unwrap();
        let payload = &message["payload"];
        if payload.get("errors").is_some() {
            break payload["errors"].clone();
        }
        let state = &payload["data"]["presence"]["member"]["state"];
        let number = state[0].as_i64().unwrap_or_default();
        // It may have begun to watch when the first changes were made already.
        assert!(number == 0 || last == 0 || number == last + 1, "{last} {number}");
        last = number;
    };
    assert_eq!(errors[0]["extensions"]["code"], "OVERLOADED", "{errors}");
    println!("lost track after {last} of 3000");
    let end: Value = serde_json::from_str(&raw.text().await).unwrap();
    assert_eq!(end, json!({"id": "1", "type": "complete"}));
    // Its connection goes on.
    raw.write(&subscribe("2", "{ presence(topic: \"busy\") { connection } }", "{}")).await;
    assert!(raw.text().await.contains(ann.id()));
}

#[tokio::test]
async fn a_rule_refuses_presence() {
    let rule = "topics=[{match = \"quiet.*\", presence = false}]";
    let broker = Broker::with(&[rule]);
    let mut peer = broker.peer().await;
    for query in [
        "subscription { join(topic: \"quiet.a\") { kind } }",
        "subscription { presence(topic: \"quiet.a\") { kind } }",
    ] {
        let id = peer.start(query, json!({})).await;
        assert_eq!(peer.error(&id).await[0]["extensions"]["code"], "FORBIDDEN", "{query}");
    }
    let result = peer.run("{ presence(topic: \"quiet.a\") { connection } }", json!({})).await;
    assert_eq!(result["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let id = join(&mut peer, "loud.a", Value::Null).await;
    assert_eq!(event(&mut peer, &id).await.0, "PRESENT");
}
