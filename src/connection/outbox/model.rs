//! The outbox against a plain list: bounded, and only what the policies allow is lost.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Place};
use crate::plan::projection::{Piece, Projection};

fn shared(number: u64, key: u8, overflow: Overflow) -> Rc<Shared> {
    let draft = Draft {
        topic: Topic::parse("t").unwrap(),
        payload: Json::from_value(&json!(number)),
        key: Some(key.to_string().into()),
        headers: None,
    };
    let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(number) };
    let published_at = Timestamp::from_micros(0);
    let message = Message::new(draft, Place { cursor, previous: None, published_at });
    let encoded = Projection::new([Piece::Text("{}".into())], false).encode(&message);
    Rc::new(Shared { encoded: Arc::new(encoded), message: Arc::new(message), overflow })
}

#[derive(Debug, Clone)]
enum Op {
    Push { slot: u8, key: u8, overflow: Overflow, bytes: u32 },
    Frame(u8),
    Run { slot: u8, bytes: Vec<u32> },
    Pop,
}

fn op() -> impl Strategy<Value = Op> {
    let overflow = prop_oneof![
        Just(Overflow::Disconnect),
        Just(Overflow::DropOldest),
        Just(Overflow::Conflate)
    ];
    let push = (0..2_u8, 0..3_u8, overflow, 1..30_u32)
        .prop_map(|(slot, key, overflow, bytes)| Op::Push { slot, key, overflow, bytes });
    let run = (0..2_u8, proptest::collection::vec(1..20_u32, 1..4))
        .prop_map(|(slot, bytes)| Op::Run { slot, bytes });
    let frame = (1..30_u8).prop_map(Op::Frame);
    prop_oneof![6 => push, 1 => run, 1 => frame, 2 => Just(Op::Pop)]
}

/// What waits, as a list: (number, slot, key, overflow, bytes); frames have number 0.
type Model = Vec<(u64, Slot, u8, Overflow, usize)>;

fn numbers_of(entry: &Entry) -> Vec<u64> {
    match entry {
        Entry::Result { shared, .. } => vec![shared.message.cursor.sequence.0],
        Entry::Run { run, .. } => {
            run.iter().map(|shared| shared.message.cursor.sequence.0).collect()
        }
        Entry::Frame { .. } => vec![0],
        Entry::Gone => Vec::new(),
    }
}

fn numbers(model: &Model) -> Vec<u64> {
    model.iter().map(|entry| entry.0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn it_stays_in_bounds_and_loses_only_what_the_policies_allow(
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        let limits = Limits { bytes_max: 100, messages_max: 8 };
        let mut outbox = Outbox::default();
        let mut model = Model::new();
        // Far enough apart for the results of a run.
        for (number, op) in (1..).step_by(10).zip(ops) {
            match op {
                Op::Push { slot, key, overflow, bytes } => {
                    let slot = Slot { index: u32::from(slot), serial: 0 };
                    let mut dropped = 0;
                    let pushed = outbox.push_result(
                        (slot, Sequence(number)), &shared(number, key, overflow), bytes, limits,
                        &mut |_, _| dropped += 1,
                    );
                    model.push((number, slot, key, overflow, bytes as usize));
                    let kept: Vec<u64> = outbox.entries.iter().flat_map(numbers_of).collect();
                    let lost: Model = model.iter().filter(|m| m.0 > 0 && !kept.contains(&m.0))
                        .copied().collect();
                    prop_assert_eq!(lost.len(), dropped + usize::from(pushed.is_err()));
                    for gone in lost.iter().filter(|gone| gone.0 != number) {
                        let newer = |m: &&(u64, Slot, u8, Overflow, usize)| {
                            m.0 > gone.0 && m.1 == gone.1 && m.2 == gone.2
                                && m.3 == Overflow::Conflate
                        };
                        match gone.3 {
                            Overflow::Disconnect => prop_assert!(false, "lost {gone:?}"),
                            Overflow::Conflate => prop_assert!(model.iter().any(|m| newer(&m))),
                            Overflow::DropOldest => {
                                let older = model.iter().filter(|m| m.3 == Overflow::DropOldest)
                                    .find(|m| kept.contains(&m.0) && m.0 > 0);
                                prop_assert!(older.is_none_or(|older| older.0 > gone.0));
                            }
                        }
                    }
                    model.retain(|m| m.0 == 0 || kept.contains(&m.0));
                    prop_assert_eq!(numbers(&model), kept);
                    if pushed.is_err() {
                        // The connection closes.
                        return Ok(());
                    }
                }
                Op::Frame(bytes) => {
                    let frame = vec![0; usize::from(bytes)].into();
                    if outbox.push_frame(frame, None, limits).is_err() {
                        return Ok(());
                    }
                    let slot = Slot { index: 9, serial: 0 };
                    model.push((0, slot, 0, Overflow::Disconnect, usize::from(bytes)));
                }
                Op::Run { slot, bytes } => {
                    let slot = Slot { index: u32::from(slot), serial: 0 };
                    push_run(&mut outbox, &mut model, limits, slot, number, &bytes)?;
                }
                Op::Pop => {
                    let popped = outbox.pop().map(|entry| numbers_of(&entry)).unwrap_or_default();
                    prop_assert_eq!(popped.is_empty(), model.is_empty());
                    let expected: Model = model.drain(..popped.len()).collect();
                    prop_assert_eq!(popped, numbers(&expected));
                }
            }
            check(&outbox, &model)?;
        }
    }
}

/// Pushes a run whose results have numbers from this one on.
fn push_run(
    outbox: &mut Outbox,
    model: &mut Model,
    limits: Limits,
    slot: Slot,
    number: u64,
    bytes: &[u32],
) -> Result<(), TestCaseError> {
    let numbers = (number..).take(bytes.len());
    let run: Run = numbers.clone().map(|n| shared(n, 0, Overflow::Disconnect)).collect();
    let sum = bytes.iter().sum();
    let has_room = model.len() + run.len() <= limits.messages_max
        && outbox.result_bytes + sum as usize <= limits.bytes_max;
    prop_assert_eq!(outbox.push_run(slot, &run, sum, limits).is_ok(), has_room);
    if has_room {
        let results = numbers.zip(bytes.iter().map(|bytes| *bytes as usize));
        model.extend(results.map(|(n, bytes)| (n, slot, 0, Overflow::Disconnect, bytes)));
    }
    Ok(())
}

fn check(outbox: &Outbox, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(outbox.bytes(), model.iter().map(|m| m.4).sum::<usize>());
    prop_assert_eq!(outbox.waiting, model.len());
    prop_assert!(model.len() <= 8);
    prop_assert!(outbox.entries.len() <= 2 * 8 + GONE_MAX + 1);
    let results = || model.iter().filter(|m| m.0 > 0).map(|m| m.4);
    prop_assert_eq!(outbox.result_bytes, results().sum::<usize>());
    prop_assert!(outbox.result_bytes <= 100 || results().count() == 1);
    Ok(())
}
