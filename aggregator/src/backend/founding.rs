//! The cluster's init, and the admin token that goes with it: asked again, it is the same one.
//!
//! Whether a command took effect may not be known: no answer in time, or nobody left to tell. What was
//! drawn stays in memory until it is certain whose token holds, and only that one is handed out.

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use wardmesh_common::id::ClusterId;
use wardmesh_common::map::HashKey;

use crate::http::backend::{Founded, InitError, InitRequest};
use crate::raft::consensus::{self, Consensus, Consistency};
use crate::replica::Replica;
use crate::state::command::Action;
use crate::state::receipt::Receipt;

#[cfg(test)]
mod tests;

/// What a founding needs of its node.
pub(super) trait Agreement: Sync {
    /// The cluster that the node's volume was admitted to.
    fn cluster(&self) -> Option<ClusterId>;

    /// The hash of the admin token that holds; `None` before the node has applied a founding.
    fn token(&self) -> Option<[u8; 32]>;

    /// Proposes the first command of the cluster of these members. Where it comes second, the node has
    /// applied what came first.
    fn found(
        &self,
        request: &InitRequest,
        found: Action,
    ) -> impl Future<Output = Result<Receipt, InitError>> + Send;
}

/// The founding that a node was asked for.
#[derive(Default)]
pub(super) struct Founding(Mutex<Option<Draft>>);

impl Founding {
    /// Founds a cluster, or finds out that an earlier call here did whose caller was not told.
    ///
    /// # Errors
    /// [`InitError`]; after [`InitError::Unknown`], and where a caller did not wait for the answer, the
    /// next call proposes the same again.
    pub(super) async fn ask(
        &self,
        node: &impl Agreement,
        request: &InitRequest,
    ) -> Result<Founded, InitError> {
        // One at a time. Whoever goes away in the middle leaves the draft behind.
        let mut slot = self.0.lock().await;
        let exists = || InitError::Exists { cluster: node.cluster() };
        let hash = slot.as_ref().map(Draft::hash);
        if node.token().is_some_and(|holds| Some(holds) != hash) {
            *slot = None;
            return Err(exists());
        }
        if node.token().is_some()
            && let Some(told) = slot.take()
        {
            // It was applied here meanwhile.
            return Ok(told.founded(node));
        }
        // A forgotten argument must not found a cluster of one node where three were meant.
        if request.expect.is_none() && request.seeds.is_empty() {
            let detail =
                "say how many nodes are expected: 1 for this node alone, or more with all seeds";
            return Err(InitError::Refused(detail.to_owned()));
        }
        let drawn = match slot.take() {
            Some(drawn) => drawn,
            None => Draft::draw()?,
        };
        let draft = slot.insert(drawn);
        let holds = match node.found(request, draft.action()).await? {
            Receipt::Accepted => true,
            Receipt::Founded(_) => match node.token() {
                Some(token) => token == draft.hash(),
                None => return Err(InitError::Unknown("this node lags behind".to_owned())),
            },
            other => return Err(InitError::Refused(format!("unexpected answer {other:?}"))),
        };
        // From here on it is certain whose token holds.
        match slot.take() {
            Some(draft) if holds => Ok(draft.founded(node)),
            _ => Err(exists()),
        }
    }
}

/// What is drawn for a cluster before there is one.
struct Draft {
    cluster: ClusterId,
    key: HashKey,
    admin_token: String,
}

impl Draft {
    fn draw() -> Result<Self, InitError> {
        let unrandom = |cause| InitError::Refused(format!("the system has no randomness: {cause}"));
        let (mut id, mut key, mut token) = ([0; 16], [0; 16], [0; 32]);
        for bytes in [&mut id[..], &mut key[..], &mut token[..]] {
            getrandom::fill(bytes).map_err(unrandom)?;
        }
        let admin_token = "wma_".chars().chain(token.iter().flat_map(|byte| hex(*byte))).collect();
        Ok(Self { cluster: ClusterId::from_random(id), key: HashKey(key), admin_token })
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.admin_token.as_bytes()).into()
    }

    /// An earlier init may have named the cluster already.
    fn founded(self, node: &impl Agreement) -> Founded {
        let cluster = node.cluster().unwrap_or(self.cluster);
        Founded { cluster, admin_token: self.admin_token }
    }

    fn action(&self) -> Action {
        Action::Found { cluster: self.cluster, key: self.key, admin_token: self.hash() }
    }
}

fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
}

/// A node that runs.
pub(super) struct Running<'a> {
    pub(super) consensus: &'a Consensus,
    pub(super) replica: &'a Replica,
}

impl Agreement for Running<'_> {
    fn cluster(&self) -> Option<ClusterId> {
        self.consensus.cluster()
    }

    fn token(&self) -> Option<[u8; 32]> {
        self.replica.state().admin_token()
    }

    async fn found(&self, request: &InitRequest, found: Action) -> Result<Receipt, InitError> {
        let expect = request.expect.map_or(request.seeds.len(), |expect| expect as usize);
        let proposed = self.consensus.initialise(expect, &request.seeds, found).await;
        let (receipt, _) = proposed.map_err(failed)?;
        if matches!(receipt, Receipt::Founded(_)) {
            let read = self.consensus.read_index(Consistency::Leader).await;
            read.map_err(|cause| InitError::Unknown(cause.to_string()))?;
        }
        Ok(receipt)
    }
}

fn failed(cause: consensus::InitError) -> InitError {
    match cause {
        consensus::InitError::Silent { .. } => InitError::Unreachable(cause.to_string()),
        consensus::InitError::NotFounded(_) => InitError::Unknown(cause.to_string()),
        cause => InitError::Refused(cause.to_string()),
    }
}
