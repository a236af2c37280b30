//! When a flow is due: idle for too long, closed, or its interval is over.
//!
//! Asked, never scheduled: the table is told the time and answers what is due. A timer is moved
//! later only when it fires, so that a packet costs no timer work.

use std::collections::BTreeSet;
use std::time::Duration;

use wardmesh_common::net::Transport;
use wardmesh_common::time::Timestamp;

use super::lru::Slot;

/// 5 min: longer than the keep-alives of DICOM and HL7 peers on a quiet ward commonly leave.
pub const TCP_IDLE_MAX: Duration = Duration::from_mins(5);
/// 5 s: stray retransmissions after FIN or RST still belong to the connection.
pub const TCP_LINGER: Duration = Duration::from_secs(5);
/// 1 min: the pause after which datagrams are a new exchange (RFC 4787 asks NATs for 2 min).
pub const DATAGRAM_IDLE_MAX: Duration = Duration::from_mins(1);
/// 1 min: a long flow is reported this often, so that what it does is known while it lives.
pub const INTERVAL: Duration = Duration::from_mins(1);

/// How long a flow may be silent before it is over.
pub(crate) fn idle_max(transport: Transport, closed: bool) -> Duration {
    match transport {
        Transport::Tcp if closed => TCP_LINGER,
        Transport::Tcp => TCP_IDLE_MAX,
        Transport::Link | Transport::Udp | Transport::Icmp | Transport::Other(_) => {
            DATAGRAM_IDLE_MAX
        }
    }
}

/// A flow's place in the order of deadlines: equal ones fire in the order of their first packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(crate) deadline: Timestamp,
    pub(crate) serial: u64,
    pub(crate) slot: Slot,
}

/// One timer a flow.
#[derive(Default)]
pub(crate) struct Timers {
    armed: BTreeSet<Timer>,
    /// No deadline comes before this: asking for each packet then costs a comparison.
    not_before: Timestamp,
}

impl Timers {
    pub(crate) fn arm(&mut self, timer: Timer) {
        self.not_before = self.not_before.min(timer.deadline);
        self.armed.insert(timer);
    }

    pub(crate) fn disarm(&mut self, timer: &Timer) {
        self.armed.remove(timer);
    }

    /// Takes the next timer whose deadline has come.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Timer> {
        if now < self.not_before {
            return None;
        }
        // With no timer the bound stays where it is: the next one armed sets it.
        let first = *self.armed.first()?;
        self.not_before = first.deadline;
        (first.deadline <= now).then(|| {
            self.armed.remove(&first);
            first
        })
    }
}
