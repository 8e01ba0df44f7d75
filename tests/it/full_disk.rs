//! A disk that is full, or cannot be written: publishers are told, readers go on, and nothing that
//! was acknowledged is lost.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::peer::{PUBLISH, Peer, code};
use crate::harness::small_disk::SmallDisk;
use crate::harness::{http, wait};

fn serve(folder: &Path, free: &str) -> Broker {
    let data = format!("data.dir={}", folder.join("log").display());
    let free = format!("data.free_bytes={free}");
    Broker::with(&[&data, &free, "keep.last=1000000", "keep.bytes=1GiB"])
}

/// Publishes until it is refused: how many were acknowledged, and the refusal.
async fn fill(peer: &mut Peer, from: usize) -> (usize, Value) {
    for number in from.. {
        // What a compression cannot make small.
        let noise: String =
            (0..4000_u64).map(|at| mixed(at + (number as u64) * 4000).to_string()).collect();
        let payload = json!([number, noise]);
        let result = peer.run(PUBLISH, json!({"topic": "full", "payload": payload})).await;
        if !code(&result).is_empty() {
            return (number, result);
        }
    }
    unreachable!("a number is missing")
}

fn mixed(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

async fn expect_all(broker: &Broker, count: usize) {
    let mut peer = broker.peer().await;
    let query = "subscription { messages(topics: \"full\", after: \"earliest\") { payload } }";
    let id = peer.start(query, json!({})).await;
    for number in 0..count {
        assert_eq!(peer.next_message(&id).await["payload"][0], json!(number));
    }
}

async fn ready(broker: &Broker) -> (u16, String) {
    let answer = http::fetch(broker.admin, "GET", "/readyz", &[], "").await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn publishes_are_refused_before_the_disk_is_full() {
    let disk = SmallDisk::new(96);
    let ballast = disk.ballast(24);
    let broker = serve(disk.path(), "48MiB");
    let mut peer = broker.peer().await;
    let (count, refusal) = fill(&mut peer, 0).await;
    assert!(count > 0 && code(&refusal) == "UNAVAILABLE", "{count} {refusal}");
    assert_eq!(refusal["errors"][0]["extensions"]["outcome"], "refused", "{refusal}");
    assert_eq!(ready(&broker).await, (503, "the disk is nearly full\n".into()));
    expect_all(&broker, count).await;
    std::fs::remove_file(ballast).unwrap();
    wait::until("there is room again", async || (ready(&broker).await.0 == 200).then_some(()))
        .await;
    let (more, _) = fill(&mut peer, count).await;
    assert!(more > count, "{more}");
    expect_all(&broker, more).await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let disk = SmallDisk::new(64);
    let ballast = disk.ballast(32);
    let mut broker = serve(disk.path(), "0");
    let mut peer = broker.peer().await;
    let (count, refusal) = fill(&mut peer, 0).await;
    assert!(count > 0 && code(&refusal) == "UNAVAILABLE", "{count} {refusal}");
    // It may be there after all, and who sends it again does so at his own risk.
    assert_eq!(refusal["errors"][0]["extensions"]["outcome"], "unknown", "{refusal}");
    let (again, refusal) = fill(&mut peer, count).await;
    assert_eq!((again, code(&refusal)), (count, "UNAVAILABLE"));
    assert_eq!(refusal["errors"][0]["extensions"]["outcome"], "refused", "{refusal}");
    assert_eq!(ready(&broker).await.0, 503);
    expect_all(&broker, count).await;
    broker.signal("KILL");
    broker.exit().await;
    std::fs::remove_file(ballast).unwrap();
    let broker = serve(disk.path(), "0");
    expect_all(&broker, count).await;
    assert_eq!(ready(&broker).await.0, 200);
}

#[test]
fn an_unwritable_folder_is_refused() {
    let disk = SmallDisk::new(8);
    disk.seal();
    for folder in ["", "log"] {
        let folder = disk.path().join(folder);
        let data = format!("data.dir={}", folder.display());
        let (code, complaint) = Broker::refuse(&[&data], None);
        assert_eq!(code, Some(1), "{complaint}");
        assert!(complaint.contains("Read-only file system"), "{complaint}");
    }
}
