//! Who is connected to this node: ids, limits, and what administrators see and may end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::broker::directory::{ConnectionPage, ConnectionReport, Directory};
use crate::message::time::Timestamp;

/// How many connections may be open.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// On this node.
    pub connections: usize,
    /// From one address.
    pub connections_per_address: usize,
}

/// All connections of this node.
#[derive(Debug)]
pub struct Registry {
    connections_max: AtomicUsize,
    connections_per_address_max: AtomicUsize,
    open: AtomicUsize,
    addresses: DashMap<IpAddr, usize>,
    entries: DashMap<Arc<str>, Arc<Entry>>,
    /// One per shard: the connections that it is to end.
    ended: Box<[Ended]>,
}

/// What others may know of a connection. Its shard is the only one that writes.
#[derive(Debug)]
pub struct Entry {
    /// Its id.
    pub id: Arc<str>,
    /// The peer's address.
    pub remote: IpAddr,
    /// The subprotocol; `none` where none was agreed upon.
    pub protocol: &'static str,
    /// When it was opened.
    pub since: Timestamp,
    /// The shard that owns it.
    pub shard: usize,
    /// Open subscriptions.
    pub subscriptions: AtomicU64,
    /// Bytes that wait.
    pub outbox_bytes: AtomicU64,
    /// Messages kept from it.
    pub dropped: AtomicU64,
    is_ending: AtomicBool,
}

/// Connections that an administrator ended, for one shard to close. Each is told once, so there
/// are never more than connections.
#[derive(Debug, Default)]
pub struct Ended {
    ids: Mutex<Vec<(Arc<str>, String)>>,
    told: Notify,
}

/// The right to have one connection open; gives it back when dropped.
#[derive(Debug)]
pub struct Permit {
    registry: Arc<Registry>,
    remote: IpAddr,
}

/// Too many connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// On this node.
    #[error("this node has the {0} connections that it may have (limits.connections)")]
    Connections(usize),
    /// From this address.
    #[error("your address has {0} connections, as many as it may (limits.connections_per_address)")]
    FromAddress(usize),
}

impl Registry {
    /// Nobody is connected.
    pub fn new(limits: Limits, shards: usize) -> Self {
        Self {
            connections_max: AtomicUsize::new(limits.connections),
            connections_per_address_max: AtomicUsize::new(limits.connections_per_address),
            open: AtomicUsize::new(0),
            addresses: DashMap::new(),
            entries: DashMap::new(),
            ended: (0..shards).map(|_| Ended::default()).collect(),
        }
    }

    /// Other limits, for those who come from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.connections_max.store(limits.connections, Ordering::Relaxed);
        let per_address = &self.connections_per_address_max;
        per_address.store(limits.connections_per_address, Ordering::Relaxed);
    }

    /// Admits one more connection.
    pub fn admit(self: &Arc<Self>, remote: IpAddr) -> Result<Permit, TooMany> {
        let connections = self.connections_max.load(Ordering::Relaxed);
        let per_address = self.connections_per_address_max.load(Ordering::Relaxed);
        if self.open.fetch_add(1, Ordering::Relaxed) >= connections {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(TooMany::Connections(connections));
        }
        // From here on the permit's drop gives back what was taken.
        let permit = Permit { registry: self.clone(), remote };
        let from_address = {
            let mut count = self.addresses.entry(remote).or_default();
            *count += 1;
            *count
        };
        if from_address > per_address {
            return Err(TooMany::FromAddress(per_address));
        }
        Ok(permit)
    }

    /// Makes a connection known.
    pub fn enter(&self, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        self.entries.insert(entry.id.clone(), entry.clone());
        entry
    }

    /// The connection is gone.
    pub fn leave(&self, id: &str) {
        self.entries.remove(id);
    }

    /// Connections and upgrades under way.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The connections that a shard is to end.
    pub fn ended(&self, shard: usize) -> &Ended {
        &self.ended[shard]
    }
}

impl Entry {
    /// A connection that has just been opened.
    pub fn new(
        id: Arc<str>,
        remote: IpAddr,
        protocol: &'static str,
        since: Timestamp,
        shard: usize,
    ) -> Self {
        Self {
            id,
            remote,
            protocol,
            since,
            shard,
            subscriptions: AtomicU64::new(0),
            outbox_bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
        }
    }

    fn report(&self) -> ConnectionReport {
        ConnectionReport {
            id: self.id.clone(),
            subject: None,
            remote: self.remote.to_string(),
            protocol: self.protocol,
            since: self.since,
            subscriptions: self.subscriptions.load(Ordering::Relaxed),
            outbox_bytes: self.outbox_bytes.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

impl Ended {
    /// Waits for connections to end, and takes them with the reasons.
    pub async fn take(&self) -> Vec<(Arc<str>, String)> {
        self.told.notified().await;
        std::mem::take(&mut *self.ids.lock())
    }

    fn tell(&self, id: Arc<str>, reason: &str) {
        self.ids.lock().push((id, reason.to_owned()));
        self.told.notify_one();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.registry.open.fetch_sub(1, Ordering::Relaxed);
        let mut is_last = false;
        if let Some(mut count) = self.registry.addresses.get_mut(&self.remote) {
            *count = count.saturating_sub(1);
            is_last = *count == 0;
        }
        if is_last {
            self.registry.addresses.remove_if(&self.remote, |_, count| *count == 0);
        }
    }
}

impl Directory for Registry {
    fn connections(&self, first: usize, after: Option<&str>) -> ConnectionPage {
        let mut entries: Vec<Arc<Entry>> =
            self.entries.iter().map(|entry| entry.value().clone()).collect();
        let total = entries.len() as u64;
        entries.retain(|entry| after.is_none_or(|after| &*entry.id > after));
        entries.sort_unstable_by(|left, right| left.id.cmp(&right.id));
        let has_next = entries.len() > first;
        let connections = entries.iter().take(first).map(|entry| entry.report()).collect();
        ConnectionPage { connections, total, has_next }
    }

    fn disconnect(&self, connection: Option<&str>, _subject: Option<&str>, reason: &str) -> u64 {
        // Without tokens no connection has a subject, so a subject names none.
        let named = connection.and_then(|id| self.entries.get(id).map(|e| e.value().clone()));
        let Some(entry) = named.filter(|entry| !entry.is_ending.swap(true, Ordering::Relaxed))
        else {
            return 0;
        };
        let Some(ended) = self.ended.get(entry.shard) else { return 0 };
        ended.tell(entry.id.clone(), reason);
        1
    }
}
