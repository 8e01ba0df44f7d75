//! Another configuration for a broker that serves: what it takes over, and what a start needs.

use super::Config;
use super::keys::{KEYS, Key};

/// What is different in another configuration, by its keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Taken over.
    pub taken: Vec<&'static str>,
    /// To take effect at the next start.
    pub waiting: Vec<&'static str>,
}

/// What is made once, when the program starts.
const AT_START: [&str; 9] = [
    "server.listen",
    "server.admin_listen",
    "server.shards",
    "data.dir",
    "data.sync",
    "data.sync_interval",
    "data.free_bytes",
    "data.accept_loss",
    "log.format",
];
/// What can change, but not between something and nothing: TLS stays on or off.
const TLS: [&str; 2] = ["server.tls_cert", "server.tls_key"];

impl Config {
    /// Takes over what can change while a broker serves.
    pub fn take_over(&mut self, mut newer: Self) -> Changes {
        let is_switch = self.server.tls_cert.is_some() != newer.server.tls_cert.is_some();
        let waits =
            |key: &Key| AT_START.contains(&key.name) || (is_switch && TLS.contains(&key.name));
        let mut changes = Changes::default();
        for key in KEYS {
            if !key.slot.exchange(self, &mut newer) {
                continue;
            }
            if waits(key) {
                key.slot.exchange(self, &mut newer);
                changes.waiting.push(key.name);
            } else {
                changes.taken.push(key.name);
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Flag, fault::Place};

    fn config(settings: &[(&str, &str)]) -> Config {
        let flag = |(key, value): &(&str, &str)| Flag {
            place: Place::Set((*key).to_owned()),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        Config::load(None, [], settings.iter().map(flag).collect()).unwrap()
    }

    #[test]
    fn what_can_change_is_taken_over_and_the_rest_named() {
        let mut running = config(&[("limits.outbox_bytes", "1KiB"), ("server.listen", "[::1]:1")]);
        let newer = [
            ("limits.outbox_bytes", "2KiB"),
            ("server.listen", "[::1]:2"),
            ("server.shards", "3"),
            ("log.format", "json"),
            ("log.level", "debug"),
            ("topics", "[{match = \"a\"}]"),
            ("keep.age", "1s"),
        ];
        let before = running.clone();
        let changes = running.take_over(config(&newer));
        assert_eq!(changes.taken, ["limits.outbox_bytes", "keep.age", "log.level", "topics"]);
        assert_eq!(changes.waiting, ["server.listen", "server.shards", "log.format"]);
        assert_eq!(running.limits.outbox_bytes, 2048);
        assert_eq!(
            (running.topics.len(), running.keep.age),
            (1, Some(std::time::Duration::from_secs(1)))
        );
        assert_eq!(
            (running.server.clone(), running.log.format),
            (before.server.clone(), before.log.format)
        );
        // Said again for as long as it is so.
        let mut running = before;
        running.take_over(config(&newer));
        let again = running.take_over(config(&newer));
        assert_eq!((again.taken.len(), again.waiting.len()), (0, 3));
    }

    #[test]
    fn every_key_is_compared() {
        for key in KEYS {
            let (mut left, mut right) = (config(&[]), config(&[]));
            assert!(!key.slot.exchange(&mut left, &mut right), "{}", key.name);
            assert_eq!(left.take_over(right), Changes::default());
        }
    }

    #[test]
    fn certificates_change_and_tls_stays_on_or_off() {
        let with = |cert| config(&[("server.tls_cert", cert), ("server.tls_key", "key.pem")]);
        let mut running = with("one.pem");
        assert_eq!(running.take_over(with("two.pem")).taken, ["server.tls_cert"]);
        let off = running.take_over(config(&[]));
        assert_eq!((off.taken.len(), &off.waiting[..]), (0, &TLS[..]));
        assert_eq!(running.server.tls_cert.as_deref(), Some(Path::new("two.pem")));
        let on = config(&[]).take_over(with("one.pem"));
        assert_eq!((on.taken.len(), &on.waiting[..]), (0, &TLS[..]));
    }
}
