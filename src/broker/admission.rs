//! How fast a client may publish: a bucket that fills at a steady rate (GCRA).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// The rate limits of this node.
#[derive(Debug)]
pub struct Admission {
    /// Publishes a second; 0 is no limit.
    publishes: Arc<AtomicU32>,
    /// Clients without a connection of their own, by address.
    addresses: DashMap<IpAddr, Arc<Client>>,
}

/// What one client has left of its rate.
#[derive(Debug)]
pub struct Client {
    /// What holds for all clients now.
    publishes: Arc<AtomicU32>,
    bucket: ArcSwapOption<Bucket>,
}

/// What is left of one rate; another rate begins with a full one.
#[derive(Debug)]
struct Bucket {
    most: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
}

/// The client publishes faster than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {most} publishes a second (limits.publish_per_second); try again in {retry_ms} ms"
)]
pub struct TooFast {
    /// Publishes a second.
    pub most: u32,
    /// Milliseconds until one more is allowed.
    pub retry_ms: u64,
}

impl Admission {
    /// So many publishes a second for each client; 0 is no limit.
    pub fn new(publishes_per_second: u32) -> Self {
        let publishes = Arc::new(AtomicU32::new(publishes_per_second));
        Self { publishes, addresses: DashMap::new() }
    }

    /// Another rate, from now on and for all clients.
    pub fn set_rate(&self, publishes_per_second: u32) {
        self.publishes.store(publishes_per_second, Ordering::Relaxed);
    }

    /// A client with a connection of its own.
    pub fn connection(&self) -> Arc<Client> {
        Arc::new(Client { publishes: self.publishes.clone(), bucket: ArcSwapOption::empty() })
    }

    /// The client at an address: its requests share one rate.
    pub fn address(&self, address: IpAddr) -> Arc<Client> {
        if self.publishes.load(Ordering::Relaxed) == 0 {
            return self.connection();
        }
        self.addresses.entry(address).or_insert_with(|| self.connection()).clone()
    }

    /// Forgets addresses that have their whole rate again.
    pub fn sweep(&self) {
        self.addresses.retain(|_, client| Arc::strong_count(client) > 1 || !client.is_rested());
    }
}

impl Client {
    /// May the client publish once more now?
    pub fn admit(&self) -> Result<(), TooFast> {
        let Some(most) = NonZeroU32::new(self.publishes.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        self.bucket(most).limiter.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            TooFast { most: most.get(), retry_ms }
        })
    }

    /// Its bucket of this rate.
    fn bucket(&self, most: NonZeroU32) -> Arc<Bucket> {
        let is_of_rate = |bucket: &Arc<Bucket>| bucket.most == most;
        let mut new = None;
        loop {
            let held = self.bucket.load_full();
            if let Some(bucket) = held.clone().filter(is_of_rate) {
                return bucket;
            }
            let new = new.get_or_insert_with(|| {
                Arc::new(Bucket { most, limiter: RateLimiter::direct(Quota::per_second(most)) })
            });
            // Whoever comes first: requests of one address share it.
            self.bucket.compare_and_swap(&held, Some(new.clone()));
        }
    }

    /// A full bucket is as good as a new one; asking takes nothing that matters, for the client
    /// is forgotten then.
    fn is_rested(&self) -> bool {
        let full = |bucket: &Arc<Bucket>| matches!(bucket.limiter.check_n(bucket.most), Ok(Ok(())));
        self.bucket.load().as_ref().is_none_or(full)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_client_has_its_burst_and_then_its_rate() {
        let admission = Admission::new(3);
        let (one, other) = (admission.connection(), admission.connection());
        for _ in 0..3 {
            assert_eq!(one.admit(), Ok(()));
        }
        let refused = one.admit().unwrap_err();
        assert!(refused.most == 3 && (1..=334).contains(&refused.retry_ms), "{refused:?}");
        assert_eq!(other.admit(), Ok(()));
    }

    #[test]
    fn requests_of_one_address_share_a_rate_until_it_is_whole_again() {
        let admission = Admission::new(1);
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert_eq!(admission.address(address).admit(), Ok(()));
        assert!(admission.address(address).admit().is_err());
        admission.sweep();
        assert_eq!(admission.addresses.len(), 1);
        let unused = IpAddr::from(Ipv4Addr::BROADCAST);
        drop(admission.address(unused));
        admission.sweep();
        assert!(!admission.addresses.contains_key(&unused));
    }

    #[test]
    fn no_limit_is_no_limit() {
        let client = Admission::new(0).connection();
        assert!((0..10_000).all(|_| client.admit().is_ok()));
    }

    #[test]
    fn another_rate_holds_for_those_who_are_there() {
        let admission = Admission::new(0);
        let clients = [admission.connection(), admission.address(Ipv4Addr::LOCALHOST.into())];
        for (rate, most) in [(2, 2), (1, 1), (3, 3), (0, 1000)] {
            admission.set_rate(rate);
            for client in &clients {
                assert!((0..most).all(|_| client.admit().is_ok()), "{rate}");
                assert_eq!(client.admit().is_err(), rate > 0, "{rate}");
            }
        }
    }
}
