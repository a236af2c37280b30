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
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    sent: VecDeque<Sent>,
    /// The last position that was sent; the next batch is the one after it.
    cursor: Option<Position>,
}

impl Window {
    /// At most `limit` batches under way, from the spool's beginning.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), sent: VecDeque::new(), cursor: None }
    }

    /// How many more may be sent.
    pub(super) fn room(&self) -> usize {
        self.limit - self.sent.len().min(self.limit)
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

    /// Everything of `epoch` up to `seq` is answered.
    pub(super) fn answered(&mut self, epoch: u64, seq: u64) {
        self.sent.retain(|sent| sent.epoch != epoch || sent.seq > seq);
    }

    /// The position of a batch that is under way.
    pub(super) fn find(&self, epoch: u64, seq: u64) -> Option<Position> {
        self.sent.iter().find(|sent| sent.epoch == epoch && sent.seq == seq).map(|s| s.position)
    }

    /// The start whose epoch this is, as far as one of its batches is under way.
    pub(super) fn start_of(&self, epoch: u64) -> Option<u64> {
        self.sent.iter().find(|sent| sent.epoch == epoch).map(|sent| sent.position.start)
    }

    /// Sends again from just after `position`: nothing is under way any more.
    pub(super) fn rewind(&mut self, position: Option<Position>) {
        self.cursor = position;
        self.sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_empties_and_rewinds() {
        let mut window = Window::new(3);
        for seq in 1..=3 {
            let position = Position { start: 2, seq };
            window.send(Sent { position, epoch: 7, seq });
        }
        assert_eq!(window.room(), 0);
        window.answered(7, 2);
        window.answered(8, 99);
        assert_eq!(window.room(), 2);
        assert_eq!(window.find(7, 3), Some(Position { start: 2, seq: 3 }));
        assert_eq!(window.start_of(7), Some(2));
        window.rewind(Some(Position { start: 2, seq: 2 }));
        assert_eq!((window.room(), window.cursor()), (3, Some(Position { start: 2, seq: 2 })));
    }
}
