//! The beginning of a lane: hello in, epoch opened by a command, welcome or refusal out.

use std::time::Duration;

use wardmesh_common::id::{SensorId, TenantId};
use wardmesh_common::link::{Receiver, Sender};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::message::{Hello, Mark, Message, NotAMessage, Reason, Refusal, Welcome};
use wardmesh_common::wire::{FRAME_LENGTH_MAX, Lane, frame};
use wardmesh_common::{clock, link};

use super::{Ingest, WINDOW};
use crate::raft::proposer::Unavailable;
use crate::state::command::{Action, OpenEpoch};
use crate::state::receipt::{OpenedEpoch, Receipt};

/// Earlier epochs that a hello may list: the state keeps at most 16 open.
const HELD_MAX: usize = 16;

/// How long a refusal may take to arrive.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

/// The longest software version that is recorded, bytes.
const SOFTWARE_MAX: usize = 64;

/// Who presents the certificate.
#[derive(Clone)]
pub(super) struct Holder {
    pub(super) tenant: TenantId,
    pub(super) sensor: SensorId,
    /// Where it is, as this node sees it.
    pub(super) remote: String,
}

/// Answers a hello and returns the lane that it opens; a refusal is sent before it is returned.
pub(super) async fn greet(
    ingest: &Ingest,
    holder: &Holder,
    send: &mut Sender,
    receive: &mut Receiver,
) -> Result<Lane, Refusal> {
    match answer(ingest, holder, receive).await {
        Ok((lane, welcome)) => {
            transmit(send, lane, Message::Welcome(welcome)).await?;
            Ok(lane)
        }
        Err(refusal) => {
            refuse(send, &refusal).await;
            Err(refusal)
        }
    }
}

/// Tells the sensor why; it may be gone already.
pub(super) async fn refuse(send: &mut Sender, refusal: &Refusal) {
    let _ = transmit(send, Lane::Urgent, Message::Refusal(refusal.clone())).await;
    // The refusal should arrive before the connection is closed.
    let _ = tokio::time::timeout(REFUSAL_PATIENCE, send.finish()).await;
}

pub(super) async fn transmit(
    send: &mut Sender,
    lane: Lane,
    message: Message,
) -> Result<(), Refusal> {
    let lost = |cause: &dyn std::fmt::Display| refusal(Reason::OutOfTurn, cause);
    let at = clock::now();
    let bytes = message.seal(lane, at).map_err(|cause| lost(&cause))?;
    link::send(send, at, bytes).await.map_err(|cause| lost(&cause))
}

pub(super) fn refusal(reason: Reason, detail: &dyn std::fmt::Display) -> Refusal {
    Refusal { reason, detail: detail.to_string() }
}

async fn answer(
    ingest: &Ingest,
    holder: &Holder,
    receive: &mut Receiver,
) -> Result<(Lane, Welcome), Refusal> {
    let first = link::receive(receive).await;
    let first = first.map_err(|cause| refusal(Reason::Malformed, &cause))?;
    let received_at = ingest.consensus.now();
    let (_, bytes) = first.ok_or_else(|| refusal(Reason::OutOfTurn, &"a hello was due"))?;
    let frame = frame::Frame::open(&bytes).map_err(|cause| refusal(Reason::Malformed, &cause))?;
    let lane = frame.header.lane;
    let hello = match Message::open(&bytes) {
        Ok(Message::Hello(hello)) => hello,
        Ok(_) | Err(NotAMessage::Batch) => {
            return Err(refusal(Reason::OutOfTurn, &"a hello was due"));
        }
        Err(cause) => return Err(refusal(Reason::Malformed, &cause)),
    };
    let cluster = check(ingest, holder, &hello)?;
    let opened = open_epoch(ingest, holder, lane, &hello).await?;
    let clock_offset = offset(received_at, Timestamp::from_nanos(hello.sent_at));
    let leader = ingest.consensus.status().leader.map(|(_, member)| member.ingest_address);
    let welcome = Welcome {
        cluster,
        site: opened.site.to_string(),
        version: frame::VERSION,
        compression: true,
        frame_max: FRAME_LENGTH_MAX as u32,
        window: WINDOW,
        clock_offset,
        leader,
        watermarks: opened
            .watermarks
            .iter()
            .filter(|mark| mark.lane == lane)
            .map(|mark| Mark {
                epoch: mark.epoch,
                seq: mark.seq,
                chains: mark.chains.clone(),
                skipped: mark.skipped,
            })
            .collect(),
    };
    Ok((lane, welcome))
}

/// What can be said of a hello without the cluster; returns the cluster's id.
fn check(ingest: &Ingest, holder: &Holder, hello: &Hello) -> Result<[u8; 16], Refusal> {
    if hello.sensor != holder.sensor.0 {
        let detail = "the hello names another sensor than the certificate";
        return Err(refusal(Reason::WrongSensor, &detail));
    }
    if !(hello.version_min..=hello.version_max).contains(&frame::VERSION) {
        let detail = format!("this cluster reads batch version {}: update it", frame::VERSION);
        return Err(refusal(Reason::UnknownSchema, &detail));
    }
    let (held, tails) = (hello.held.len(), hello.tails.len());
    if held > HELD_MAX || tails > HELD_MAX + 1 || hello.software.len() > SOFTWARE_MAX {
        return Err(refusal(Reason::TooLarge, &"the hello lists more than a node reads"));
    }
    let cluster = ingest.registry.cluster().ok_or_else(|| {
        refusal(Reason::NotReady, &"the cluster has not been founded: run 'wardmesh cluster init'")
    })?;
    if hello.cluster.is_some_and(|named| named != cluster.0) {
        let detail = format!("the sensor was enrolled in another cluster than {cluster}");
        return Err(refusal(Reason::WrongCluster, &detail));
    }
    Ok(cluster.0)
}

async fn open_epoch(
    ingest: &Ingest,
    holder: &Holder,
    lane: Lane,
    hello: &Hello,
) -> Result<OpenedEpoch, Refusal> {
    let action = Action::OpenEpoch(OpenEpoch {
        sensor: holder.sensor,
        tenant: holder.tenant.clone(),
        epoch: hello.epoch,
        held: hello.held.clone(),
        lane,
        tails: hello.tails.clone(),
        remote: holder.remote.clone(),
        version: hello.software.clone(),
    });
    let first = ingest.consensus.propose(action.clone()).await;
    let outcome = match first {
        // Opening twice is opening once: after a change of leader it is asked again.
        Err(Unavailable::Unknown(_)) => ingest.consensus.propose(action).await,
        outcome => outcome,
    };
    match outcome {
        Ok((Receipt::EpochOpened(opened), _)) => Ok(opened),
        Ok((Receipt::Refused(detail), _)) => {
            let revoked = ingest.registry.is_revoked(holder.sensor);
            let reason = if revoked { Reason::Revoked } else { Reason::NotEnrolled };
            Err(refusal(reason, &detail))
        }
        Ok((other, _)) => Err(refusal(Reason::NotReady, &format!("unexpected answer {other:?}"))),
        Err(cause) => Err(refusal(Reason::NotReady, &cause)),
    }
}

/// Our clock minus the sensor's, nanoseconds, within what 64 bits hold.
pub(super) fn offset(ours: Timestamp, theirs: Timestamp) -> i64 {
    let difference = i128::from(ours.as_nanos()) - i128::from(theirs.as_nanos());
    difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
