//! Which batches of a lane are under way: pure bookkeeping of sent and answered.

use std::collections::VecDeque;

use crate::spool::Position;

/// A batch that was sent and is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) position: Position,
    pub(super) epoch: u64,
    pub(super) seq: u64,
}

/// The sent and unanswered batches of one session and lane.
///
/// The node answers each batch once and in order, so that after a rewind exactly as many answers are
/// stale as batches were under way.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    sent: VecDeque<Sent>,
    stale: usize,
    /// The last position that was sent; the next batch is the one after it.
    cursor: Option<Position>,
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The oldest batch under way.
    Batch(Sent),
    /// A batch from before a rewind, which is or will be sent again.
    Stale,
    /// No batch that is under way: the node breaks the protocol.
    Unknown,
}

impl Window {
    /// At most `limit` batches under way, from the spool's beginning.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), sent: VecDeque::new(), stale: 0, cursor: None }
    }

    /// How many more may be sent.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.sent.len() + self.stale)
    }

    /// After which position the spool is to be read.
    pub(super) fn cursor(&self) -> Option<Position> {
        self.cursor
    }

    /// A batch goes out.
    pub(super) fn send(&mut self, sent: Sent) {
        self.cursor = Some(sent.position);
        self.sent.push_back(sent);
    }

    /// An answer came in.
    pub(super) fn answer(&mut self, epoch: u64, seq: u64) -> Answered {
        if self.stale > 0 {
            self.stale -= 1;
            return Answered::Stale;
        }
        match self.sent.pop_front() {
            Some(sent) if sent.epoch == epoch && sent.seq == seq => Answered::Batch(sent),
            _ => Answered::Unknown,
        }
    }

    /// Sends again from just after `position`: the answers to what is under way are stale.
    pub(super) fn rewind(&mut self, position: Option<Position>) {
        self.cursor = position;
        self.stale += self.sent.len();
        self.sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(seq: u64) -> Sent {
        Sent { position: Position { start: 2, seq }, epoch: 7, seq }
    }

    #[test]
    fn fills_and_empties_in_order() {
        let mut window = Window::new(3);
        (1..=3).for_each(|seq| window.send(sent(seq)));
        assert_eq!(window.room(), 0);
        assert_eq!(window.answer(7, 1), Answered::Batch(sent(1)));
        assert_eq!(window.room(), 1);
        assert_eq!(window.answer(7, 3), Answered::Unknown);
        assert_eq!(Window::new(1).answer(7, 1), Answered::Unknown);
    }

    #[test]
    fn answers_from_before_a_rewind_are_stale() {
        let mut window = Window::new(3);
        (1..=3).for_each(|seq| window.send(sent(seq)));
        assert_eq!(window.answer(7, 1), Answered::Batch(sent(1)));
        window.rewind(Some(Position { start: 2, seq: 0 }));
        assert_eq!((window.room(), window.cursor()), (1, Some(Position { start: 2, seq: 0 })));
        window.send(sent(1));
        assert_eq!(window.answer(7, 2), Answered::Stale);
        assert_eq!(window.answer(7, 3), Answered::Stale);
        assert_eq!(window.answer(7, 1), Answered::Batch(sent(1)));
        assert_eq!(window.room(), 3);
    }
}
