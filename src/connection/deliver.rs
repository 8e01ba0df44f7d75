//! The delivery of events to the members of their feeds: the hot path.
//!
//! Events that follow each other to the same feeds are delivered together: each member gets one run
//! of results, so that what is looked up for a member, and the memory it waits in, is touched once
//! for all of them and not for each.

use std::rc::Rc;
use std::sync::Arc;

use slab::Slab;
use smallvec::SmallVec;

use super::member::{Members, Push};
use super::outbox::{Run, Shared};
use super::shard::Shard;
use super::state::{Connection, State};
use crate::broker::delivery::Event;
use crate::broker::rules::Overflow;
use crate::message::Message;
use crate::plan::condition::Probe;

type Connections = Slab<Box<Connection>>;

impl State {
    /// Delivers events to the members that want them, and adds to how many for each.
    pub(super) fn deliver(
        &mut self,
        shard: &Shard,
        mut events: &[Arc<Event>],
        mut delivered: &mut [u64],
    ) {
        while let Some(first) = events.first() {
            let count = alike(first, events);
            let (some, others) = events.split_at(count);
            let (counts, other_counts) = delivered.split_at_mut(count);
            self.deliver_alike(shard, first, some, counts);
            (events, delivered) = (others, other_counts);
        }
    }

    /// Delivers events that go to the same feeds as the first of them.
    fn deliver_alike(
        &mut self,
        shard: &Shard,
        first: &Event,
        events: &[Arc<Event>],
        delivered: &mut [u64],
    ) {
        let misfits = &shard.broker.counters().misfits;
        let (feeds, connections, mut push) = self.split(shard);
        let mut probes: SmallVec<[Option<Probe<'_>>; 1]> = events.iter().map(|_| None).collect();
        for id in &first.feeds {
            let Some(members) = feeds.get(*id) else { continue };
            let asked = events.iter().zip(&mut probes).enumerate();
            let wanted: SmallVec<[usize; 32]> = asked
                .filter_map(|(index, (event, probe))| {
                    event.passes(&members.feed.select, misfits, probe).then_some(index)
                })
                .collect();
            let mut left = &wanted[..];
            while let [index, ..] = *left {
                let taken = if left.len() > 1 {
                    let run = push.run(members, events, left);
                    push.deliver_run(members, connections, &run, (events, left), delivered);
                    run.len()
                } else {
                    delivered[index] += push.deliver_one(members, connections, &events[index]);
                    1
                };
                left = &left[taken..];
            }
        }
    }
}

/// How many events from the first one on go to the same feeds, and may not be dropped.
fn alike(first: &Event, events: &[Arc<Event>]) -> usize {
    let is_alike = |event: &&Arc<Event>| {
        event.topic.overflow == Overflow::Disconnect && event.feeds == first.feeds
    };
    events.iter().take_while(is_alike).count().max(1)
}

impl Push<'_> {
    /// The results of some events for members of one feed.
    fn run(&mut self, members: &Members, events: &[Arc<Event>], wanted: &[usize]) -> Run {
        let messages: SmallVec<[&Arc<Message>; 32]> =
            wanted.iter().map(|index| &events[*index].message).collect();
        let (projection, broker) = (members.feed.projection.id, &self.shard.broker);
        let Self { runs, results, .. } = self;
        runs.get(projection, &messages, |message| {
            let encode = || broker.encode(&members.feed, message);
            results.get(projection, message, Overflow::Disconnect, encode)
        })
    }

    /// Delivers a run as one to members who can take it so, and to others result by result.
    fn deliver_run(
        &mut self,
        members: &Members,
        connections: &mut Connections,
        run: &Run,
        (events, wanted): (&[Arc<Event>], &[usize]),
        delivered: &mut [u64],
    ) {
        let mut whole = 0;
        let each = || run.iter().zip(wanted);
        let begins_at = run.first().map(|shared| shared.message.cursor.sequence);
        for place in &members.list {
            // Who leaves is taken off the list first, so the connection is always there.
            let Some(connection) = connections.get_mut(place.connection) else { continue };
            let (index, operation) = (place.connection, place.operation);
            let has_all_to_come = Some(place.from) < begins_at;
            if has_all_to_come && self.push_run(connection, index, operation, run).is_ok() {
                whole += 1;
                continue;
            }
            for (shared, at) in each() {
                if place.from < shared.message.cursor.sequence {
                    let now = events[*at].accepted_at;
                    let is_sent = self.offer(connection, index, operation, shared, now);
                    delivered[*at] += u64::from(is_sent);
                }
            }
        }
        for (_, at) in each() {
            delivered[*at] += whole;
        }
    }

    fn deliver_one(
        &mut self,
        members: &Members,
        connections: &mut Connections,
        event: &Event,
    ) -> u64 {
        let (projection, message) = (members.feed.projection.id, &event.message);
        let encode = || self.shard.broker.encode(&members.feed, message);
        let shared: Rc<Shared> =
            self.results.get(projection, message, event.topic.overflow, encode);
        let mut delivered = 0;
        for place in &members.list {
            // Who leaves is taken off the list first, so the connection is always there.
            if place.from < message.cursor.sequence
                && let Some(connection) = connections.get_mut(place.connection)
            {
                let (index, operation) = (place.connection, place.operation);
                let is_sent = self.offer(connection, index, operation, &shared, event.accepted_at);
                delivered += u64::from(is_sent);
            }
        }
        delivered
    }
}
