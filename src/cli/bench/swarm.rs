//! Many connections, read as they become readable: what the measurements share that have no load
//! going on.

use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::inflate::Inflated;
use super::machine;
use super::wire::Wire;

/// Connections with numbers from 0.
pub(super) struct Swarm {
    poll: Poll,
    events: Events,
    wires: Vec<Wire>,
    scratch: Box<[u8]>,
    inflated: Inflated,
    /// Bytes read so far, and reads that brought them.
    pub(super) wire_bytes: u64,
    pub(super) reads: u64,
}

const SCRATCH_BYTES: usize = 256 << 10;
const EVENTS: usize = 1024;

impl Swarm {
    pub(super) fn new(wires: Vec<Wire>) -> Result<Self, String> {
        Self::registered(wires).map_err(|error| error.to_string())
    }

    fn registered(mut wires: Vec<Wire>) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        for (index, wire) in wires.iter_mut().enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut wire.stream, Token(index), interest)?;
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            wires,
            scratch: vec![0; SCRATCH_BYTES].into(),
            inflated: Inflated::default(),
            wire_bytes: 0,
            reads: 0,
        })
    }

    pub(super) fn wire(&mut self, index: usize) -> &mut Wire {
        &mut self.wires[index]
    }

    /// Waits for sockets and reads what they have; `each` gets the messages, and what it refuses
    /// ends the turn.
    pub(super) fn turn(
        &mut self,
        wait: Duration,
        mut each: impl FnMut(usize, &[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        machine::wait(&mut self.poll, &mut self.events, wait)?;
        for event in &self.events {
            let Token(index) = event.token();
            let wire = &mut self.wires[index];
            let mut refused = Ok(());
            let read = wire.flush().and_then(|()| {
                wire.read(&mut self.scratch, &mut self.inflated, |text| {
                    if refused.is_ok() {
                        refused = each(index, text);
                    }
                })
            });
            let named = |reason| format!("connection {index}: {reason}");
            let bytes = read.map_err(named)? as u64;
            refused.map_err(named)?;
            self.wire_bytes += bytes;
            self.reads += u64::from(bytes > 0);
        }
        Ok(())
    }
}
