//! The plot: what a delivery costs each server, saturated and at a fixed rate. SVG, points on a
//! logarithmic scale, with colours for light and dark pages.

use std::fmt::Write;

use crate::roster::Peer;
use crate::rounds::{Mode, Outcome, Results};

const WIDTH: f64 = 920.0;
const LABELS: f64 = 345.0;
/// For the figure behind the last point.
const RIGHT: f64 = 60.0;
const HEAD: f64 = 72.0;
const ROW: f64 = 42.0;
/// Between the two points of a server.
const STEP: f64 = 16.0;
const FOOT: f64 = 34.0;

const STYLE: &str = "\
text { fill: #1f2328; font: 13px system-ui, sans-serif }
.title { font-size: 15px; font-weight: 600 }
.small { fill: #59636e; font-size: 11px }
.end { text-anchor: end }
.middle { text-anchor: middle }
.own { font-weight: 600 }
.grid { stroke: #d1d9e0 }
.stem { stroke: #d1d9e0; stroke-width: 2 }
.saturated { fill: #0969da }
.paced { fill: #c69026 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .grid, .stem { stroke: #3d444d }
  .saturated { fill: #4493f8 }
  .paced { fill: #d29922 }
}
";

/// A chart of the servers that were measured; empty if none was.
pub fn svg(results: &Results, peers: &[&Peer]) -> String {
    let cost = |peer: &Peer, mode| results.median(peer.name, mode, Outcome::cpu_micros);
    let rows: Vec<(&Peer, [Option<f64>; 2])> = peers
        .iter()
        .map(|peer| (*peer, [cost(peer, Mode::Saturated), cost(peer, Mode::Paced)]))
        .filter(|(_, costs)| costs.iter().any(Option::is_some))
        .collect();
    let Some(scale) = Scale::of(rows.iter().flat_map(|(_, costs)| costs.iter().flatten())) else {
        return String::new();
    };
    let count = f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    let height = HEAD + count * ROW + FOOT;
    let mut out = String::new();
    let options = &results.options;
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-labelledby=\"title\">\n<style>\n{STYLE}</style>\n\
         <text id=\"title\" class=\"title\" x=\"0\" y=\"18\">Server CPU per delivery, {} \
         subscribers, {} B</text>\n",
        options.subscribers, options.size
    );
    legend(&mut out, options.rate);
    scale.grid(&mut out, height);
    let mut top = HEAD;
    for (peer, costs) in &rows {
        row(&mut out, top, peer, costs, &scale);
        top += ROW;
    }
    out + "</svg>\n"
}

fn legend(out: &mut String, rate: f64) {
    let entries = [
        (0.0, "saturated", "saturated".to_owned()),
        (110.0, "paced", format!("{rate} messages/s")),
    ];
    for (x, class, text) in entries {
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{}\" cy=\"39\" r=\"5\"/>\
             <text x=\"{}\" y=\"44\">{text}</text>",
            x + 6.0,
            x + 18.0
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"small end\" x=\"{WIDTH}\" y=\"44\">µs, logarithmic; less is \
         better</text>"
    );
}

fn row(out: &mut String, top: f64, peer: &Peer, costs: &[Option<f64>; 2], scale: &Scale) {
    let title = peer.title.replace("**", "");
    let class = if title == peer.title { "end" } else { "end own" };
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{}\" y=\"{}\">{title}</text>",
        LABELS - 10.0,
        top + STEP + 3.0
    );
    for (index, (cost, class)) in costs.iter().zip(["saturated", "paced"]).enumerate() {
        let Some(cost) = cost else { continue };
        let y = top + 7.0 + if index == 0 { 0.0 } else { STEP };
        let x = scale.x(*cost);
        let _ = writeln!(
            out,
            "<line class=\"stem\" x1=\"{LABELS}\" y1=\"{y}\" x2=\"{x:.1}\" y2=\"{y}\"/>\
             <circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y}\" r=\"5\"/>\
             <text class=\"small\" x=\"{:.1}\" y=\"{}\">{cost:.2}</text>",
            x + 10.0,
            y + 4.0
        );
    }
}

/// Powers of ten around all values.
struct Scale {
    lowest: i32,
    highest: i32,
}

impl Scale {
    fn of<'a>(values: impl Iterator<Item = &'a f64>) -> Option<Self> {
        let positive = |value: &&f64| value.is_finite() && **value > 0.0;
        let powers: Vec<f64> = values.filter(positive).map(|value| value.log10()).collect();
        let lowest = powers.iter().copied().reduce(f64::min)?.floor();
        let highest = powers.iter().copied().reduce(f64::max)?.ceil();
        let lowest = power(lowest);
        Some(Self { lowest, highest: power(highest).max(lowest + 1) })
    }

    fn x(&self, value: f64) -> f64 {
        let powers = f64::from(self.highest - self.lowest);
        let share = (value.log10() - f64::from(self.lowest)) / powers;
        LABELS + share.clamp(0.0, 1.0) * (WIDTH - RIGHT - LABELS)
    }

    fn grid(&self, out: &mut String, height: f64) {
        for exponent in self.lowest..=self.highest {
            let value = 10_f64.powi(exponent);
            let (x, bottom) = (self.x(value), height - FOOT);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
                 <text class=\"small middle\" x=\"{x:.1}\" y=\"{}\">{value}</text>",
                HEAD - 6.0,
                bottom + 16.0
            );
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a power of ten of microseconds")]
fn power(exponent: f64) -> i32 {
    exponent as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::ROSTER;
    use crate::summary::tests::results;

    #[test]
    fn what_costs_more_is_further_right() {
        let results = results(&[("bare-8", &[0.5]), ("tidings", &[0.7]), ("nats", &[50.0])]);
        let svg = svg(&results, &ROSTER.iter().collect::<Vec<_>>());
        let places: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<line class=\"stem\""))
            .filter_map(|line| line.split("x2=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(places.len(), 3);
        assert!(places.is_sorted() && places[2] < WIDTH - RIGHT, "{places:?}");
        assert!(svg.ends_with("</svg>\n"));
    }

    #[test]
    fn nothing_measured_is_nothing_drawn() {
        assert_eq!(svg(&results(&[]), &ROSTER.iter().collect::<Vec<_>>()), "");
    }
}
