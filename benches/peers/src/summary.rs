//! Medians over the rounds; a ratio is taken within a round, where both had the same machine.

use tidings::cli::bench::figures::Figures;
use tidings::cli::bench::idle::Idle;
use tidings::cli::bench::intake::Intake;

use crate::rounds::{Measurement, Mode, Outcome, Results};

impl Outcome {
    /// Of a saturated or paced run.
    pub fn figures(&self) -> Option<&Figures> {
        if let Self::Figures(figures) = self { Some(figures) } else { None }
    }

    /// Of connections that wait.
    pub fn idle(&self) -> Option<&Idle> {
        if let Self::Idle(idle) = self { Some(idle) } else { None }
    }

    /// Of publishes.
    pub fn intake(&self) -> Option<&Intake> {
        if let Self::Intake(intake) = self { Some(intake) } else { None }
    }

    /// Server CPU of a delivery, in microseconds.
    pub fn cpu_micros(&self) -> Option<f64> {
        self.figures()?.server_cpu_micros_per_delivery
    }
}

impl Results {
    /// The measurements of a server, by round.
    pub fn of(&self, server: &str, mode: Mode) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().filter(move |one| one.server == server && one.mode == mode)
    }

    /// The median over the rounds.
    pub fn median(
        &self,
        server: &str,
        mode: Mode,
        value: impl Fn(&Outcome) -> Option<f64>,
    ) -> Option<f64> {
        median(self.of(server, mode).filter_map(|one| value(&one.outcome)).collect())
    }

    /// The median of what a server's CPU is to another one's in the same round.
    pub fn cpu_ratio(&self, server: &str, mode: Mode, anchor: &str) -> Option<f64> {
        let ratio = |one: &Measurement| {
            let same = self.of(anchor, mode).find(|other| other.round == one.round)?;
            Some(one.outcome.cpu_micros()? / same.outcome.cpu_micros()?)
        };
        median(self.of(server, mode).filter_map(ratio).collect())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied()?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values.get(middle.checked_sub(1)?).map(|lower| f64::midpoint(*lower, upper))
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;

    use tidings::cli::bench::figures::Latency;

    use super::*;
    use crate::rounds::Options;

    /// Saturated runs with these CPU times, by server and round.
    pub fn results(cpu: &[(&'static str, &[f64])]) -> Results {
        let measurement = |server, round, cpu| Measurement {
            round,
            server,
            mode: Mode::Saturated,
            outcome: Outcome::Figures(figures(cpu)),
        };
        let measurements = cpu.iter().flat_map(|(server, cpu)| {
            cpu.iter().enumerate().map(move |(round, cpu)| measurement(*server, round, *cpu))
        });
        let (rounds, subscribers, size, rate) = (3, 1000, 128, 50.0);
        Results {
            machine: "a machine".into(),
            options: Options {
                rounds,
                subscribers,
                size,
                rate,
                window: 16,
                seconds: 3.0,
                idle: 10,
                modes: vec![Mode::Saturated],
            },
            versions: cpu.iter().map(|(server, _)| (*server, "1".to_owned())).collect(),
            skipped: BTreeMap::new(),
            measurements: measurements.collect(),
        }
    }

    fn figures(cpu: f64) -> Figures {
        Figures {
            seconds: 1.0,
            messages: 1,
            deliveries: 1,
            deliveries_per_second: 1e6 / cpu,
            frame_bytes: 200.0,
            deliveries_per_read: 1.0,
            server_cpu_micros_per_delivery: Some(cpu),
            server_cpu_micros_per_message: None,
            server_busy: Some(1.0),
            server_rss_bytes: None,
            load_busy: None,
            latency: Latency::default(),
            lost: 0,
            duplicates: 0,
            reordered: 0,
            unknown: 0,
            conflated: 0,
            conflated_told: 0,
        }
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let results = results(&[("a", &[2.0, 8.0, 30.0]), ("b", &[1.0, 2.0, 10.0])]);
        assert_eq!(results.cpu_ratio("a", Mode::Saturated, "b"), Some(3.0));
        assert_eq!(results.median("a", Mode::Saturated, Outcome::cpu_micros), Some(8.0));
        assert_eq!(results.cpu_ratio("a", Mode::Paced, "b"), None);
    }
}
