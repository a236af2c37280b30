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
        let (receipt, index) =
            self.backend.propose(action).await.map_err(|error| self.failed(&error))?;
        match receipt {
            Receipt::Refused(why) => Err(Problem::new(&kinds::REFUSED, why)),
            Receipt::Accepted | Receipt::Done => Ok(index),
            Receipt::Ingested(_) | Receipt::EpochOpened(_) | Receipt::Founded(_) => {
                Err(Problem::new(&kinds::INTERNAL, "The receipt is not that of a change."))
            }
        }
    }

    fn failed(&self, error: &ProposeError) -> Problem {
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
