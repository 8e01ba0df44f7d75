//! How fast a client may publish: a bucket that fills at a steady rate (GCRA).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use dashmap::DashMap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// The rate limits of this node.
#[derive(Debug)]
pub struct Admission {
    publishes: Option<NonZeroU32>,
    /// Clients without a connection of their own, by address.
    addresses: DashMap<IpAddr, Arc<Client>>,
}

/// What one client has left of its rate.
#[derive(Debug)]
pub struct Client {
    limit: Option<(NonZeroU32, DefaultDirectRateLimiter)>,
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
        Self { publishes: NonZeroU32::new(publishes_per_second), addresses: DashMap::new() }
    }

    /// A client with a connection of its own.
    pub fn connection(&self) -> Arc<Client> {
        let limiter = |most| (most, RateLimiter::direct(Quota::per_second(most)));
        Arc::new(Client { limit: self.publishes.map(limiter) })
    }

    /// The client at an address: its requests share one rate.
    pub fn address(&self, address: IpAddr) -> Arc<Client> {
        if self.publishes.is_none() {
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
        let Some((most, limiter)) = &self.limit else { return Ok(()) };
        limiter.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            TooFast { most: most.get(), retry_ms }
        })
    }

    /// A full bucket is as good as a new one; asking takes nothing that matters, for the client
    /// is forgotten then.
    fn is_rested(&self) -> bool {
        let full = |(most, limiter): &(NonZeroU32, DefaultDirectRateLimiter)| {
            matches!(limiter.check_n(*most), Ok(Ok(())))
        };
        self.limit.as_ref().is_none_or(full)
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
}
