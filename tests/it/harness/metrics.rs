//! The text of `/metrics`, read as a scraper reads it.

use super::broker::Broker;
use super::http;

/// Every line that holds a value.
pub(crate) struct Metrics {
    pub(crate) text: String,
    values: Vec<(String, String)>,
}

impl Metrics {
    /// Scrapes a broker.
    pub(crate) async fn of(broker: &Broker) -> Self {
        let answer = http::fetch(broker.admin, "GET", "/metrics", &[], "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let lines = answer.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let value = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.to_owned())
        };
        let values = lines.map(value).collect();
        Self { text: answer.body, values }
    }

    /// The count of a series, as in `tidings_closed_total{code="1013"}`; 0 when it is not there.
    pub(crate) fn count(&self, series: &str) -> u64 {
        self.value(series).map_or(0, |value| value.parse().unwrap())
    }

    /// A series of seconds.
    pub(crate) fn seconds(&self, series: &str) -> f64 {
        self.value(series).unwrap().parse().unwrap()
    }

    fn value(&self, series: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == series).map(|(_, value)| value.as_str())
    }

    /// All series, in the order of the text.
    pub(crate) fn series(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }
}
