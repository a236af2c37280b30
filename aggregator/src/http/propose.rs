//! Changes to the state: proposed to the cluster, answered once they are agreed on and applied.

use super::Api;
use super::backend::ProposeError;
use super::fresh::RETRY;
use super::problem::{Problem, kinds};
use crate::state::command::Action;
use crate::state::receipt::Receipt;

impl Api {
    /// Has a change agreed on; its log index.
    pub(super) async fn propose(&self, action: Action) -> Result<u64, Problem> {
        match self.agree(action).await? {
            (Receipt::Accepted | Receipt::Done, index) => Ok(index),
            (receipt, _) => Err(refused(receipt)),
        }
    }

    /// Has a command agreed on; what it came to, and its log index.
    pub(super) async fn agree(&self, action: Action) -> Result<(Receipt, u64), Problem> {
        self.backend.propose(action).await.map_err(|error| self.failed(&error))
    }

    pub(super) fn failed(&self, error: &ProposeError) -> Problem {
        let detail = format!("{error}.");
        match error {
            ProposeError::NoLeader if self.backend.state().cluster().is_none() => {
                Problem::not_initialised()
            }
            ProposeError::NoLeader => Problem::new(&kinds::NO_LEADER, detail)
                .hint("Nothing was changed. Repeat when a majority of the nodes runs.")
                .retry_after(RETRY),
            ProposeError::Overloaded { retry_after } => {
                Problem::new(&kinds::OVERLOADED, detail).retry_after(*retry_after)
            }
            ProposeError::DiskFull { retry_after, .. } => Problem::new(&kinds::DISK_FULL, detail)
                .hint("Nothing was changed. Free space on that volume or enlarge it; the cluster goes on by itself.")
                .retry_after(*retry_after),
            ProposeError::TimedOut => Problem::new(&kinds::TIMED_OUT, detail).retry_after(RETRY),
        }
    }
}

/// The answer to a receipt that tells of no change.
pub(super) fn refused(receipt: Receipt) -> Problem {
    match receipt {
        Receipt::Refused(why) => Problem::new(&kinds::REFUSED, why),
        _ => Problem::new(&kinds::INTERNAL, "The receipt is not that of a change."),
    }
}
