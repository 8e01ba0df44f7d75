//! `tidings bench` with a server of its own: what each measurement counts and checks.

use serde_json::Value;

use crate::{run, text};

const FAULTS: [&str; 4] = ["lost", "duplicates", "reordered", "unknown"];

/// The figures of a run that found no fault; arguments as one line.
fn figures(arguments: &str) -> Value {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let output = run(&[&["bench", "--json"], arguments.as_slice()].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_clean(figures: &Value) {
    for fault in FAULTS {
        assert_eq!(figures[fault], 0, "{fault}");
    }
}

#[test]
fn every_message_is_checked_by_both_views_of_a_type() {
    let figures = figures(
        "--subscribers 20 --publishers 2 --topics 3 --selections 2 --filters 2 --messages 300 \
         --typed",
    );
    for figures in [&figures, &figures["typed"]] {
        // 20 subscribers of 3 topics that get 100 messages each.
        assert_eq!(figures["deliveries"], 2000);
        assert_clean(figures);
    }
    assert!(figures["typed"]["cpu_ratio"].is_number() || figures["typed"]["cpu_ratio"].is_null());
}

#[test]
fn rooms_are_set_beside_a_bare_loop_that_writes_to_one_room_at_a_time() {
    let figures = figures(
        "--subscribers 12 --topics 4 --publishers 2 --rate 400 --duration 500ms --warmup 0s \
         --ceiling",
    );
    assert_clean(&figures);
    let deliveries = figures["deliveries"].as_u64().unwrap();
    assert!(deliveries > 0, "{figures}");
    let ceiling = &figures["ceiling"];
    assert_eq!(ceiling[0]["batch"], 1);
    // 400 messages a second to rooms of 3, and not to all 12: however slow the machine is, the
    // loop cannot deliver more than it was asked for.
    let rate = ceiling[0]["deliveries_per_second"].as_f64().unwrap();
    assert!(rate > 0.0 && rate < 2.0 * 1200.0, "{rate}");
}

#[test]
fn a_market_ends_on_the_newest_and_all_that_it_left_out_was_told() {
    let figures = figures(
        "--market --subscribers 8 --topics 20 --topics-each 5 --rate 2000 --messages 2000 \
         --publishers 3 --max-per-second 10",
    );
    assert_clean(&figures);
    let count = |name: &str| figures[name].as_u64().unwrap();
    // Each topic has two subscribers.
    assert_eq!(count("deliveries") + count("conflated"), 2 * 2000);
    assert!(count("conflated") > 0);
    assert_eq!(count("conflated"), count("conflated_told"));
    assert!(figures["queues"]["outbox_bytes"]["second_max"].is_u64(), "{figures}");
}

#[test]
fn a_storm_of_clients_is_served_from_one_encoding_of_each_message() {
    let figures = figures("--resume 20 --subscribers 30 --topics 2 --selections 3 --ceiling");
    assert_clean(&figures);
    assert_eq!(figures["deliveries"], 30 * 20);
    // 20 messages on 2 topics, each in 3 selections.
    assert_eq!(figures["encoded_at_least"], 120);
    assert_eq!(figures["encoded"], 120);
    let batches = [&figures["ceiling"][0]["batch"], &figures["ceiling"][1]["batch"]];
    assert_eq!(batches, [20, 8]);
}

#[test]
fn receipts_come_in_order() {
    let figures = figures("--publish --messages 2000 --publishers 2 --topics 3");
    assert_eq!(figures["publishes"], 2000);
    for fault in ["lost", "reordered", "cursors_back"] {
        assert_eq!(figures[fault], 0, "{fault}");
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for (arguments, said) in [
        ("--market --deflate", "'--market' cannot be used with '--deflate'"),
        ("--market --ceiling", "'--market' cannot be used with '--ceiling'"),
        ("--market --rate 0", "--max-per-second needs a --rate"),
        ("--max-per-second 5", "--max-per-second needs a --rate"),
        ("--max-per-second 0", "expected messages a second"),
        ("--topics-each 3 --topics 2", "there are only 2 --topics"),
        ("--resume 5 --rate 3", "'--resume <MESSAGES>' cannot be used with '--rate <RATE>'"),
        ("--publish --subscribers 4", "'--publish' cannot be used with '--subscribers"),
        ("--publish --idle 4", "cannot be used with"),
    ] {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let output = run(&[&["bench"], arguments.as_slice()].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}
