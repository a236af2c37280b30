//! Where this node stands: to which cluster its volume was admitted, and who is out for good.
//!
//! Two marks lie beside the node's id. Without `cluster-id` an empty volume takes neither log nor
//! votes, so that a member that lost its disk cannot vote a second time; with `removed` it never
//! starts again. It decides nothing about the membership.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use wardmesh_common::id::{ClusterId, NodeId};
use wardmesh_common::time::Timestamp;

use super::log_store::LogStore;
use super::rpc::{Failure, Request, Sender};
use super::{REPLACE, folder};

/// The mark that names the cluster of an admitted volume.
const ADMITTED: &str = "cluster-id";

/// The mark of a volume whose node was removed.
const REMOVED: &str = "removed";

/// Where a node stands.
pub(in crate::raft) struct Standing {
    own: NodeId,
    data: PathBuf,
    cluster: Mutex<Option<ClusterId>>,
    admitted: AtomicBool,
    /// A cluster believes that this volume has its log, which it has not.
    claimed: AtomicBool,
    retired: RwLock<BTreeMap<NodeId, Timestamp>>,
    removal: watch::Sender<Option<Timestamp>>,
}

/// What to do with a node that was removed, for people.
pub(in crate::raft) fn way_out(node: NodeId, at: &str) -> String {
    format!(
        "node {node} was removed from the cluster at {at}: wipe the volume and start it under a new \
         node id, with a certificate of its own, then 'wardmesh cluster add ADDRESS'"
    )
}

impl Standing {
    /// Reads the marks of a volume that is node `own`'s; the way out where that one was removed.
    /// Blocking.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` where a mark cannot be read.
    pub(in crate::raft) fn open(data: &Path, own: NodeId) -> io::Result<Result<Self, String>> {
        if let Some(at) = read(&data.join(REMOVED))? {
            return Ok(Err(way_out(own, &at)));
        }
        let path = data.join(ADMITTED);
        let cluster = read(&path)?.map(|text| text.parse::<ClusterId>()).transpose();
        let cluster = cluster.map_err(|cause| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {cause}", path.display()))
        })?;
        Ok(Ok(Self {
            own,
            data: data.to_owned(),
            cluster: Mutex::new(cluster),
            admitted: AtomicBool::new(cluster.is_some()),
            claimed: AtomicBool::default(),
            retired: RwLock::default(),
            removal: watch::Sender::new(None),
        }))
    }

    /// Admits the volume to a cluster, durably; also from another one that never came to be. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub(in crate::raft) fn admit(&self, cluster: ClusterId) -> io::Result<()> {
        let mut known = self.cluster.lock();
        folder::write_line(&self.data, ADMITTED, &cluster.to_string())?;
        *known = Some(cluster);
        self.admitted.store(true, Ordering::Release);
        self.claimed.store(false, Ordering::Release);
        Ok(())
    }

    /// Why a volume whose log this is must not start, before that is opened; what was opened once
    /// leaves a file there. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub(in crate::raft) fn lost_log(&self, log: &Path) -> io::Result<Option<String>> {
        let Some(cluster) = self.cluster() else { return Ok(None) };
        let lost = !LogStore::is_in(log)?;
        Ok(lost.then(|| {
            format!(
                "node {} belongs to cluster {cluster} ({}), but its Raft log is gone: {} holds none. \
                 What it voted and took there binds it: started without, it could vote a second \
                 time in the same term. Put the log back if you have all of it; else {REPLACE}: it \
                 needs a new node id",
                self.own,
                self.data.join(ADMITTED).display(),
                log.display()
            )
        }))
    }

    /// Why a volume must not start that holds a log, but not of which cluster.
    pub(in crate::raft) fn lost_mark(&self, log: &LogStore) -> Option<String> {
        let lost = self.cluster().is_none() && log.is_begun();
        lost.then(|| {
            let mark = self.data.join(ADMITTED);
            format!(
                "node {} has a Raft log, but not of which cluster: {} is missing. Copy that file \
                 from the volume of another node of its cluster",
                self.own,
                mark.display()
            )
        })
    }

    /// The volume holds a log or a vote already.
    pub(in crate::raft) fn holds_a_log(&self) {
        self.admitted.store(true, Ordering::Release);
    }

    /// The cluster that the volume was admitted to.
    pub(in crate::raft) fn cluster(&self) -> Option<ClusterId> {
        *self.cluster.lock()
    }

    /// Who this node's requests say that they come from.
    pub(in crate::raft) fn sender(&self) -> Sender {
        Sender { node: self.own, cluster: self.cluster() }
    }

    /// All nodes that ever left, as the state has them.
    pub(in crate::raft) fn learn(&self, retired: Vec<(NodeId, Timestamp)>) {
        *self.retired.write() = retired.into_iter().collect();
    }

    /// When a node left.
    pub(in crate::raft) fn retired(&self, node: NodeId) -> Option<Timestamp> {
        self.retired.read().get(&node).copied()
    }

    /// Why a request is not served, where it is not.
    pub(in crate::raft) fn refusal(&self, from: Sender, request: &Request) -> Option<Failure> {
        let own = self.cluster();
        if let (Some(own), Some(theirs)) = (own, from.cluster)
            && own != theirs
        {
            let why = format!("node {} belongs to cluster {theirs}, this one to {own}", from.node);
            return Some(Failure::Refused(why));
        }
        if let Some(at) = self.retired(from.node) {
            return Some(Failure::Retired { at });
        }
        if !request.is_rafts() || self.admitted.load(Ordering::Acquire) {
            return None;
        }
        let first = !self.claimed.swap(true, Ordering::AcqRel);
        let fault = self.fault().unwrap_or_default();
        if first {
            tracing::error!(from = from.node, fault, "an empty volume takes neither log nor votes");
        }
        Some(Failure::Refused(fault))
    }

    /// What keeps this node from its work, and the way out.
    pub(in crate::raft) fn fault(&self) -> Option<String> {
        let own = self.own;
        let lost = self.claimed.load(Ordering::Acquire) && !self.admitted.load(Ordering::Acquire);
        lost.then(|| {
            format!(
                "node {own} is a member of its cluster, but its volume is empty: start the volume \
                 under a new node id, with a certificate of its own, then 'wardmesh cluster replace \
                 {own} --with ADDRESS'"
            )
        })
    }

    /// A member of the own cluster says that this node was removed.
    pub(in crate::raft) fn removed(&self, at: Timestamp) {
        self.removal.send_if_modified(|known| known.replace(at).is_none());
    }

    /// Resolves once this node is known to be removed.
    pub(in crate::raft) async fn until_removed(&self) -> Timestamp {
        let mut removal = self.removal.subscribe();
        // The sender lives as long as this does: an error cannot come.
        match removal.wait_for(Option::is_some).await.map(|at| *at) {
            Ok(Some(at)) => at,
            _ => std::future::pending().await,
        }
    }

    /// Writes down that this node was removed. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub(in crate::raft) fn mark_removed(&self, at: Timestamp) -> io::Result<()> {
        folder::write_line(&self.data, REMOVED, &at.to_string())
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(folder::at(path)(cause)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::rpc::Request;
    use super::*;
    use crate::raft::types::Vote;
    use openraft::raft::VoteRequest;

    fn vote() -> Request {
        Request::Vote(VoteRequest::new(Vote::new(1, 1), None))
    }

    fn from(node: NodeId, cluster: u8) -> Sender {
        Sender { node, cluster: (cluster > 0).then_some(ClusterId([cluster; 16])) }
    }

    #[test]
    fn an_empty_volume_takes_no_votes_until_it_is_admitted_and_keeps_that() {
        let folder = tempfile::tempdir().unwrap();
        let standing = Standing::open(folder.path(), 2).unwrap().unwrap();
        assert_eq!(standing.fault(), None);
        assert!(matches!(standing.refusal(from(1, 0), &vote()), Some(Failure::Refused(_))));
        assert!(standing.fault().unwrap().contains("wardmesh cluster replace 2"));
        assert_eq!(standing.refusal(from(1, 0), &Request::Probe), None);
        standing.admit(ClusterId([5; 16])).unwrap();
        assert_eq!((standing.refusal(from(1, 5), &vote()), standing.fault()), (None, None));
        let again = Standing::open(folder.path(), 2).unwrap().unwrap();
        assert_eq!(again.refusal(from(1, 5), &vote()), None);
        assert_eq!(again.sender(), from(2, 5));
    }

    #[test]
    fn other_clusters_and_removed_nodes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let standing = Standing::open(folder.path(), 2).unwrap().unwrap();
        standing.admit(ClusterId([5; 16])).unwrap();
        let at = Timestamp::from_parts(1_767_600_000, 0);
        standing.learn(vec![(3, at)]);
        // (who asks) → how it is refused
        let cases =
            [(from(1, 5), None), (from(1, 0), None), (from(3, 5), Some(Failure::Retired { at }))];
        for (sender, refusal) in cases {
            assert_eq!(standing.refusal(sender, &Request::Status), refusal, "{sender:?}");
        }
        // Also a removed node's: what another cluster says of it means nothing here.
        for node in [1, 3] {
            let refusal = standing.refusal(from(node, 6), &Request::Status);
            assert!(matches!(refusal, Some(Failure::Refused(_))), "{refusal:?}");
        }
    }

    #[test]
    fn a_volume_that_lost_its_log_or_its_mark_does_not_start() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("raft/log");
        let standing = Standing::open(folder.path(), 2).unwrap().unwrap();
        assert_eq!(standing.lost_log(&log).unwrap(), None, "it promised nothing");
        standing.admit(ClusterId([5; 16])).unwrap();
        for made in [false, true] {
            if made {
                folder::make(&log).unwrap();
            }
            let why = standing.lost_log(&log).unwrap().unwrap();
            for said in ["cluster-id", "raft/log", "new node id", "docs/operations.md"] {
                assert!(why.contains(said), "{why}");
            }
        }
        // Opened, and nothing written yet: as after a crash right behind the admission.
        let store = LogStore::open(&log, std::sync::Arc::new(|why| panic!("{why}"))).unwrap();
        assert_eq!((standing.lost_log(&log).unwrap(), standing.lost_mark(&store)), (None, None));
    }

    #[test]
    fn a_removed_volume_never_starts_again() {
        let folder = tempfile::tempdir().unwrap();
        let standing = Standing::open(folder.path(), 2).unwrap().unwrap();
        standing.mark_removed(Timestamp::from_parts(1_767_600_000, 0)).unwrap();
        let way_out = Standing::open(folder.path(), 2).unwrap().err().unwrap();
        assert!(way_out.contains("node 2 was removed from the cluster at 2026-01-05"), "{way_out}");
        assert!(way_out.contains("under a new node id"), "{way_out}");
    }
}
