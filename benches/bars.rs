//! Every bar for speed: its commands, the figure that they measure, and whether it is met.
//!
//! `cargo bench --bench bars` runs all of them in three rounds, on a machine that does nothing
//! else; `-- saturated latency` runs some. `-- --list` prints the commands, for running by hand;
//! `-- --rounds 1` is quicker; `-- --json FILE` keeps everything that was measured. Exit code 1 if
//! a bar is missed. [docs/benchmarks.md](../docs/benchmarks.md) tells what is measured and how.

#![expect(clippy::print_stdout, reason = "a measurement prints")]

#[path = "bars/run.rs"]
mod run;
#[path = "bars/table.rs"]
mod table;

use std::env;
use std::fs;
use std::process::ExitCode;

use serde_json::{Value, json};

use run::{Command, Round, Runner};
use table::BARS;

/// One bar: what it takes to measure it, and what has to hold.
struct Bar {
    /// By which it is asked for.
    name: &'static str,
    /// Run one after the other in every round: a ratio is that of neighbours in time.
    commands: &'static [Command],
    checks: &'static [Check],
}

/// One figure of a bar.
struct Check {
    what: &'static str,
    limit: Limit,
    /// Of one round; the bar is held to the median of the rounds.
    figure: fn(&Round) -> Option<f64>,
}

/// What a figure has to be.
enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
    /// It is only reported.
    Reported,
}

/// What the command line asks for.
struct Asked {
    names: Vec<String>,
    rounds: usize,
    json: Option<String>,
    is_list: bool,
}

const ROUNDS: usize = 3;

fn main() -> ExitCode {
    let asked = match Asked::read(env::args().skip(1)) {
        Ok(asked) => asked,
        Err(reason) => {
            eprintln!("bars: {reason}");
            return ExitCode::from(2);
        }
    };
    let is_asked = |bar: &&Bar| asked.names.is_empty() || asked.names.iter().any(|n| n == bar.name);
    let bars: Vec<&Bar> = BARS.iter().filter(is_asked).collect();
    if asked.is_list {
        for bar in bars {
            bar.list();
        }
        return ExitCode::SUCCESS;
    }
    let rounds = measure(&bars, asked.rounds);
    println!("| bar | what | limit | figure | verdict |\n| --- | --- | --- | --- | --- |");
    let mut is_met = true;
    for (bar, rounds) in bars.iter().zip(&rounds) {
        is_met &= bar.tell(rounds);
    }
    if let Some(file) = asked.json
        && let Err(error) = fs::write(&file, format!("{:#}\n", everything(&bars, &rounds)))
    {
        eprintln!("bars: {file}: {error}");
        return ExitCode::from(2);
    }
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All rounds of each bar.
fn measure(bars: &[&Bar], rounds: usize) -> Vec<Vec<Round>> {
    let mut runner = Runner::default();
    let mut measured = vec![Vec::new(); bars.len()];
    for round in 0..rounds {
        for (bar, measured) in bars.iter().zip(&mut measured) {
            eprintln!("round {} of {rounds}, {}", round + 1, bar.name);
            measured.push(runner.run(bar.commands, round));
        }
    }
    measured
}

fn everything(bars: &[&Bar], rounds: &[Vec<Round>]) -> Value {
    let command = |(command, measured): &(Command, Result<Value, String>)| match measured {
        Ok(value) => json!({"command": command.to_string(), "measured": value}),
        Err(reason) => json!({"command": command.to_string(), "failed": reason}),
    };
    let round = |round: &Round| round.0.iter().map(command).collect::<Vec<_>>();
    let bar = |(bar, rounds): (&&Bar, &Vec<Round>)| {
        json!({
            "bar": bar.name,
            "figures": bar.checks.iter().map(|check| check.keep(rounds)).collect::<Vec<_>>(),
            "rounds": rounds.iter().map(round).collect::<Vec<_>>(),
        })
    };
    bars.iter().zip(rounds).map(bar).collect()
}

impl Bar {
    fn list(&self) {
        println!("{}", self.name);
        self.commands.iter().for_each(|command| println!("  {command}"));
        for Check { what, limit, .. } in self.checks {
            println!("    {what}: {limit}");
        }
    }

    /// Prints the rows of a bar; false when it is missed.
    fn tell(&self, rounds: &[Round]) -> bool {
        let mut is_met = true;
        for check in self.checks {
            let figure = check.median(rounds);
            let is_kept = figure.is_some_and(|figure| check.limit.holds(figure));
            let verdict = match check.limit {
                Limit::Reported if is_kept => "-",
                _ if is_kept => "met",
                _ => "missed",
            };
            let figure = figure.map_or("not measured".to_owned(), digits);
            let Check { what, limit, .. } = check;
            println!("| {} | {what} | {limit} | {figure} | {verdict} |", self.name);
            is_met &= is_kept;
        }
        let faults = rounds.iter().flat_map(Round::faults);
        faults.for_each(|fault| println!("| {} | {fault} | | | missed |", self.name));
        is_met && rounds.iter().all(|round| round.faults().next().is_none())
    }
}

impl Check {
    /// The median of the rounds that measured it; `None` if one of them did not.
    fn median(&self, rounds: &[Round]) -> Option<f64> {
        let mut figures: Vec<f64> = rounds.iter().map(self.figure).collect::<Option<_>>()?;
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let upper = *figures.get(middle)?;
        Some(if figures.len() % 2 == 1 { upper } else { f64::midpoint(figures[middle - 1], upper) })
    }

    fn keep(&self, rounds: &[Round]) -> Value {
        json!({
            "what": self.what,
            "limit": self.limit.to_string(),
            "median": self.median(rounds),
            "rounds": rounds.iter().map(self.figure).collect::<Vec<_>>(),
        })
    }
}

impl Limit {
    fn holds(&self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= *most,
            Self::AtLeast(least) => figure >= *least,
            Self::Below(end) => figure < *end,
            Self::Reported => true,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::Below(end) => write!(f, "below {end}"),
            Self::Reported => write!(f, "-"),
        }
    }
}

/// As many digits as say something.
fn digits(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1_000.0 => format!("{figure:.0}"),
        small if small < 0.01 => format!("{figure:.4}"),
        _ => format!("{figure:.2}"),
    }
}

impl Asked {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut asked = Self { names: Vec::new(), rounds: ROUNDS, json: None, is_list: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo says what kind of program this is.
                "--bench" => {}
                "--list" => asked.is_list = true,
                "--json" => asked.json = Some(arguments.next().ok_or("--json needs a file")?),
                "--rounds" => {
                    let count = arguments.next().and_then(|count| count.parse().ok());
                    asked.rounds =
                        count.filter(|count| *count > 0).ok_or("--rounds needs a number")?;
                }
                name if BARS.iter().any(|bar| bar.name == name) => asked.names.push(argument),
                other => {
                    let names: Vec<&str> = BARS.iter().map(|bar| bar.name).collect();
                    return Err(format!("no bar has the name {other:?}; there are {names:?}"));
                }
            }
        }
        Ok(asked)
    }
}
