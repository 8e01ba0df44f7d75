//! How many messages are under way: a message counts until its last subscriber has it.

/// The messages under way, oldest first, in a ring as large as the window.
#[derive(Debug)]
pub(super) struct Flow {
    /// Deliveries still to come, by message number modulo the window.
    awaited: Box<[u32]>,
    oldest: u64,
    next: u64,
}

impl Flow {
    pub(super) fn new(window: u64) -> Self {
        let slots = usize::try_from(window).unwrap_or(usize::MAX);
        Self { awaited: vec![0; slots].into(), oldest: 0, next: 0 }
    }

    /// May another message be published?
    pub(super) fn has_room(&self) -> bool {
        self.next - self.oldest < self.awaited.len() as u64
    }

    /// Message `next` goes out to so many subscribers.
    pub(super) fn publish(&mut self, deliveries: usize) {
        let slot = self.slot(self.next);
        self.awaited[slot] = u32::try_from(deliveries).unwrap_or(u32::MAX);
        self.next += 1;
        self.settle();
    }

    /// One subscriber has the message for the first time.
    pub(super) fn arrive(&mut self, number: u64) {
        if (self.oldest..self.next).contains(&number) {
            let slot = self.slot(number);
            self.awaited[slot] = self.awaited[slot].saturating_sub(1);
            self.settle();
        }
    }

    fn settle(&mut self) {
        while self.oldest < self.next && self.awaited[self.slot(self.oldest)] == 0 {
            self.oldest += 1;
        }
    }

    fn slot(&self, number: u64) -> usize {
        usize::try_from(number % self.awaited.len() as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_with_its_oldest_message() {
        let mut flow = Flow::new(2);
        flow.publish(2);
        flow.publish(1);
        assert!(!flow.has_room());
        flow.arrive(1);
        assert!(!flow.has_room());
        flow.arrive(0);
        flow.arrive(0);
        assert!(flow.has_room());
        flow.publish(0);
        flow.publish(1);
        assert!(flow.has_room());
        flow.arrive(99);
        flow.publish(1);
        assert!(!flow.has_room());
    }
}
