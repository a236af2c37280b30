//! Inits whose outcome nobody was told: never a token that does not hold, and none that is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wardmesh_common::time::Timestamp;

use super::*;
use crate::state::State;
use crate::state::command::Command;

/// What becomes of a proposal.
#[derive(Clone, Copy)]
enum Fate {
    /// It is applied, and who proposed it is told.
    Told,
    /// It is applied, and who proposed it is not told.
    Untold,
    /// It is never applied, and nobody knows.
    Lost,
    /// Nothing was proposed: a member does not answer.
    Unproposed,
    /// It is applied, and who proposed it waits for ever.
    Stuck,
}

/// A cluster of one state.
struct Cluster {
    state: Mutex<State>,
    fates: Mutex<Vec<Fate>>,
}

impl Cluster {
    fn of(fates: &[Fate]) -> Self {
        let fates = fates.iter().rev().copied().collect();
        Self { state: Mutex::new(State::new()), fates: Mutex::new(fates) }
    }

    fn apply(&self, action: Action) -> Receipt {
        let mut state = self.state.lock();
        let index = state.applied() + 1;
        state.apply(index, &Command::new(Timestamp::EPOCH, action)).receipt
    }

    /// Whether a token is the one that holds.
    fn holds(&self, founded: &Founded) -> bool {
        let hash: [u8; 32] = Sha256::digest(founded.admin_token.as_bytes()).into();
        self.token() == Some(hash) && self.state.lock().cluster() == Some(founded.cluster)
    }
}

impl Agreement for Cluster {
    fn cluster(&self) -> Option<ClusterId> {
        self.state.lock().cluster()
    }

    fn token(&self) -> Option<[u8; 32]> {
        self.state.lock().admin_token()
    }

    async fn found(&self, _: &InitRequest, found: Action) -> Result<Receipt, InitError> {
        let fate = self.fates.lock().pop().unwrap_or(Fate::Told);
        let unknown = || Err(InitError::Unknown("no answer".to_owned()));
        match fate {
            Fate::Told => Ok(self.apply(found)),
            Fate::Untold => {
                self.apply(found);
                unknown()
            }
            Fate::Lost => unknown(),
            Fate::Unproposed => Err(InitError::Unreachable("agg-2".to_owned())),
            Fate::Stuck => {
                self.apply(found);
                std::future::pending().await
            }
        }
    }
}

fn request() -> InitRequest {
    InitRequest { expect: Some(1), seeds: Vec::new() }
}

#[tokio::test]
async fn asked_again_it_is_the_token_that_holds() {
    use Fate::{Lost, Told, Unproposed, Untold};
    let cases: [&[Fate]; 6] =
        [&[], &[Untold], &[Lost], &[Unproposed], &[Lost, Unproposed, Untold], &[Lost, Lost, Told]];
    for fates in cases {
        let (cluster, founding) = (Cluster::of(fates), Founding::default());
        let untold = fates.iter().filter(|fate| !matches!(fate, Told)).count();
        for _ in 0..untold {
            let error = founding.ask(&cluster, &request()).await.unwrap_err();
            assert!(matches!(error, InitError::Unknown(_) | InitError::Unreachable(_)), "{error}");
        }
        if cluster.token().is_some() {
            // What was applied here needs no other member any more.
            cluster.fates.lock().push(Unproposed);
        }
        let founded = founding.ask(&cluster, &request()).await.unwrap();
        assert!(cluster.holds(&founded), "{founded:?}");
        let once_more = founding.ask(&cluster, &request()).await;
        assert_eq!(once_more, Err(InitError::Exists { cluster: Some(founded.cluster) }));
    }
}

#[tokio::test]
async fn who_did_not_wait_may_ask_again() {
    let (cluster, founding) = (Cluster::of(&[Fate::Stuck]), Founding::default());
    let request = request();
    let asking = founding.ask(&cluster, &request);
    assert!(tokio::time::timeout(Duration::from_millis(1), asking).await.is_err());
    assert!(cluster.token().is_some(), "it took effect");
    let founded = founding.ask(&cluster, &request).await.unwrap();
    assert!(cluster.holds(&founded));
}

/// Two nodes of one cluster are asked: whoever's command was first is told, the other never.
#[tokio::test]
async fn a_token_that_does_not_hold_is_not_handed_out() {
    for first in [Fate::Lost, Fate::Unproposed] {
        let cluster = Cluster::of(&[first, Fate::Untold, Fate::Untold]);
        let (one, two) = (Founding::default(), Founding::default());
        one.ask(&cluster, &request()).await.unwrap_err();
        two.ask(&cluster, &request()).await.unwrap_err();
        let exists = Err(InitError::Exists { cluster: cluster.cluster() });
        assert_eq!(one.ask(&cluster, &request()).await, exists);
        // Neither where it finds out only by its own proposal that it came second.
        let third = Founding::default();
        assert_eq!(third.ask(&Late(&cluster, AtomicBool::default()), &request()).await, exists);
        assert!(cluster.holds(&two.ask(&cluster, &request()).await.unwrap()));
    }
}

/// A node that has applied nothing before it proposes.
struct Late<'a>(&'a Cluster, AtomicBool);

impl Agreement for Late<'_> {
    fn cluster(&self) -> Option<ClusterId> {
        self.0.cluster()
    }

    fn token(&self) -> Option<[u8; 32]> {
        self.1.load(Ordering::Relaxed).then(|| self.0.token()).flatten()
    }

    async fn found(&self, _: &InitRequest, found: Action) -> Result<Receipt, InitError> {
        self.1.store(true, Ordering::Relaxed);
        Ok(self.0.apply(found))
    }
}

#[tokio::test]
async fn a_forgotten_argument_founds_nothing() {
    let (cluster, founding) = (Cluster::of(&[]), Founding::default());
    let refused = founding.ask(&cluster, &InitRequest::default()).await;
    assert!(matches!(refused, Err(InitError::Refused(_))), "{refused:?}");
    assert_eq!(cluster.token(), None);
}
