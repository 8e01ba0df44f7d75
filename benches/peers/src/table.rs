//! The table, in Markdown.

use crate::roster::{BARE_GATHERED, BARE_SINGLE, Peer};
use crate::rounds::{Mode, Outcome, Results};

/// Every peer has a row; one that was skipped has the reason in it.
pub fn markdown(results: &Results, peers: &[&Peer]) -> String {
    let options = &results.options;
    let mut lines = vec![
        format!(
            "{}: {} subscribers, payloads of {} B, medians of {} rounds of {} s. CPU is the \
             server's, per delivery or publish.",
            results.machine, options.subscribers, options.size, options.rounds, options.seconds,
        ),
        String::new(),
        format!(
            "| server | saturated: deliveries/s | CPU µs | × bare 8 a write | {} msg/s: CPU µs \
             | × bare | p50 ms | p99 ms | idle KiB | connects/s | publishes/s | CPU µs | every \
             message once and in order |",
            options.rate
        ),
        format!("| --- |{} --- |", " ---: |".repeat(11)),
    ];
    lines.extend(peers.iter().map(|peer| row(results, peer)));
    lines.push(String::new());
    let idle = |peer: &&&Peer| results.of(peer.name, Mode::Idle).next().is_some();
    for peer in peers.iter().filter(idle) {
        let version = results.versions.get(peer.name).map_or("", String::as_str).trim();
        let count = |outcome: &Outcome| outcome.idle().map(|idle| whole(idle.connections));
        let idle = figure(results.median(peer.name, Mode::Idle, count), 0);
        lines.push(format!("- {}: {version}; idle with {idle} connections", peer.name));
    }
    lines.join("\n") + "\n"
}

fn row(results: &Results, peer: &Peer) -> String {
    if let Some(reason) = results.skipped.get(peer.name) {
        return format!("| {} |{} skipped: {reason} |", peer.title, " |".repeat(11));
    }
    let name = peer.name;
    let median = |mode, value: fn(&Outcome) -> Option<f64>| results.median(name, mode, value);
    let (saturated, paced) = (Mode::Saturated, Mode::Paced);
    let cells = [
        peer.title.to_owned(),
        figure(median(saturated, |one| Some(one.figures()?.deliveries_per_second)), 0),
        figure(median(saturated, Outcome::cpu_micros), 2),
        figure(results.cpu_ratio(name, saturated, BARE_GATHERED), 2),
        figure(median(paced, Outcome::cpu_micros), 2),
        figure(results.cpu_ratio(name, paced, BARE_SINGLE), 2),
        figure(median(paced, |one| Some(one.figures()?.latency.p50_millis)), 1),
        figure(median(paced, |one| Some(one.figures()?.latency.p99_millis)), 1),
        figure(
            median(Mode::Idle, |one| {
                one.idle()?.server_rss_bytes_per_connection.map(|bytes| bytes / 1024.0)
            }),
            1,
        ),
        figure(median(Mode::Idle, |one| Some(one.idle()?.connects_per_second)), 0),
        figure(median(Mode::Intake, |one| Some(one.intake()?.publishes_per_second)), 0),
        figure(median(Mode::Intake, |one| one.intake()?.server_cpu_micros_per_publish), 2),
        verdict(results, peer),
    ];
    format!("| {} |", cells.join(" | "))
}

/// What is to be said about a server's deliveries.
fn verdict(results: &Results, peer: &Peer) -> String {
    let mut remarks: Vec<String> = Vec::new();
    let (mut lost, mut doubled, mut reordered) = (0, 0, 0);
    for one in results.measurements.iter().filter(|one| one.server == peer.name) {
        match &one.outcome {
            Outcome::Figures(figures) => {
                lost += figures.lost;
                doubled += figures.duplicates + figures.unknown;
                reordered += figures.reordered;
            }
            Outcome::Error(reason) => {
                remarks.push(format!("{:?}, round {}: {reason}", one.mode, one.round));
            }
            Outcome::Idle(_) | Outcome::Intake(_) => {}
        }
    }
    let counts = [(lost, "lost"), (doubled, "doubled"), (reordered, "reordered")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    remarks.extend(counts.map(|(count, what)| format!("no: {count} {what}")));
    if remarks.is_empty() { "yes".to_owned() } else { remarks.join("; ").replace('|', "/") }
}

fn figure(value: Option<f64>, digits: usize) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[expect(clippy::cast_precision_loss, reason = "a count of connections, for people")]
fn whole(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::ROSTER;
    use crate::summary::tests::results;

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let mut results = results(&[("bare-8", &[0.5]), ("tidings", &[1.0]), ("nats", &[1.5])]);
        results.skipped.insert("nchan", "nginx is missing".to_owned());
        let peers: Vec<&Peer> = ROSTER.iter().collect();
        let table = markdown(&results, &peers);
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), ROSTER.len() + 2);
        for row in &rows {
            assert_eq!(row.matches('|').count(), rows[0].matches('|').count(), "{row}");
        }
        assert!(rows[4].contains("| 1,000,000 | 1.00 | 2.00 |"), "{}", rows[4]);
        assert!(rows[6].contains("skipped: nginx is missing"), "{}", rows[6]);
    }

    #[test]
    fn large_figures_are_grouped() {
        let figures = [(1234.5, 1), (999.0, 0), (1_862_904.0, 0), (0.54, 2)];
        let shown = figures.map(|(value, digits)| figure(Some(value), digits));
        assert_eq!(shown, ["1,234.5", "999", "1,862,904", "0.54"]);
    }
}
