//! A shard with two clients, and work that panics.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use super::*;
use crate::broker::{self, Base, Broker};
use crate::connection::registry::{Limits, Registry};
use crate::connection::shard::Seed;
use crate::connection::socket::Stream;
use crate::connection::{Options, Terms, Told, Upgraded};
use crate::engine::Bounds;
use crate::engine::memory::{self, Memory};
use crate::engine::retention::{Keep, Retention};
use crate::graphql::definition::Definition;
use crate::graphql::sdl::model::Model;
use crate::graphql::{self, Schema};
use crate::message::cursor::Epoch;
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::protocol::Dialect;

fn broker() -> Arc<Broker> {
    let options = broker::Options {
        shards: 1,
        payload_bytes_max: 1000,
        publishes_per_second_max: 0,
        encodings_bytes: 1000,
        topic_rules: Vec::new(),
        node: "n1".into(),
    };
    let base = Base::new(&options, Instant::now());
    let memory = memory::Options {
        epoch: Epoch::new(1),
        retention: Retention { rules: Vec::new(), default: Keep::EVERYTHING },
        bounds: Bounds {
            memory_bytes: 1000,
            volatile_bytes: 1000,
            idempotency_window: Duration::from_secs(1),
            idempotency_ids_max: 10,
        },
        clock: Arc::new(|| Timestamp::from_micros(0)),
    };
    let engine = Memory::new(memory, base.feeds.clone());
    Arc::new(Broker::new(engine, base, options, Timestamp::from_micros(0)))
}

fn seed() -> Seed {
    let broker = broker();
    let registry = Registry::new(Limits { connections: 9, connections_per_address: 9 }, 1);
    let registry = Arc::new(registry);
    let limits = graphql::limits::Limits { depth: 9, complexity: 9, aliases: 9 };
    let graphql = graphql::Options {
        limits,
        documents_bytes: 1000,
        persisted_bytes: 1000,
        shown_limits: Json::from_value(&serde_json::Value::Null),
    };
    let schema = Schema::new(
        broker.clone(),
        registry.clone(),
        Definition::new(&Model::default()).unwrap(),
        &graphql,
    );
    let minute = Duration::from_mins(1);
    let options = Options {
        echo: false,
        outbox_bytes_max: 1000,
        outbox_messages_max: 10,
        message_bytes_max: 1000,
        subscriptions_max: 10,
        init_timeout: minute,
        idle_timeout: minute,
        ping_interval: minute,
        close_timeout: minute,
        version: "1",
    };
    let terms = watch::channel(Terms { number: 0, options }).1;
    let told = Told { terms, drain: watch::channel(None).1 };
    let follows = watch::Sender::new(0);
    let sockets = mpsc::channel(1).1;
    Seed { number: 0, broker, schema, registry, sockets, told, follows }
}

/// Opens a connection on the shard; the other end of its socket.
fn connect(shard: &Rc<Shard>) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let remote = IpAddr::from(Ipv4Addr::LOCALHOST);
    let permit = shard.registry.admit(remote).unwrap();
    let dialect = Some(Dialect::TransportWs);
    let early = Vec::new();
    shard.clone().open(Upgraded {
        stream: Stream::Tcp(stream),
        early,
        remote,
        dialect,
        deflate: None,
        protocol: "graphql-transport-ws",
        admin: false,
        permit,
    });
    peer
}

fn keys(shard: &Shard) -> Vec<Key> {
    shard.state.borrow().connections.iter().map(|(index, c)| c.key(index)).collect()
}

fn is_closed(mut peer: &TcpStream) -> bool {
    peer.set_nonblocking(true).unwrap();
    match peer.read(&mut [0; 16]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Runs a check on a shard with two connections.
async fn with_two(check: impl AsyncFnOnce(Rc<Shard>, [TcpStream; 2])) {
    let work = async {
        let (shard, _inputs) = Shard::new(seed());
        let peers = [connect(&shard), connect(&shard)];
        assert_eq!(keys(&shard).len(), 2);
        check(shard, peers).await;
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test]
async fn a_panic_in_work_for_one_ends_that_one() {
    with_two(async |shard, [first, second]| {
        let keys_before = keys(&shard);
        let broken = keys_before[0];
        shard.spawn(broken, |this| async move {
            let _borrowed = this.state.borrow_mut();
            panic!("a test of ours");
        });
        while keys(&shard).len() == 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(keys(&shard), keys_before[1..]);
        assert!(is_closed(&first) && !is_closed(&second));
        assert_eq!(shard.registry.open(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_work_for_many_ends_them_and_the_shard_goes_on() {
    with_two(async |shard, [first, second]| {
        shard.attempt(|| {
            let mut state = shard.state.borrow_mut();
            state.mark_dirty(0);
            panic!("a test of ours");
        });
        assert!(keys(&shard).is_empty() && is_closed(&first) && is_closed(&second));
        assert_eq!((shard.registry.open(), shard.broker.counters().connections.get()), (0, 0));
        let third = connect(&shard);
        assert!(keys(&shard).len() == 1 && !is_closed(&third));
    })
    .await;
}
