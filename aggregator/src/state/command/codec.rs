//! A command's bytes: `[envelope length u32][rkyv envelope][frame 0][frame 1]…`
//!
//! The envelope is versioned by the command's `apply_version`; frames are slices of the entry's own
//! buffer on the way back, so that applying copies nothing.

use bytes::{BufMut, Bytes, BytesMut};
use rkyv::{Archive, Deserialize, Serialize, rancor};
use wardmesh_common::id::{ClusterId, FindingId, MintedId, NotAnId, SensorId};
use wardmesh_common::map::HashKey;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;

use super::{
    Action, Command, DefineSite, Enrol, OpenEpoch, ReportClock, ReportNode, Skip, Submission,
    UpdateFinding,
};
use crate::state::findings::Status;

/// The frozen form of a command, its frames left out.
#[derive(Archive, Serialize, Deserialize)]
struct Envelope {
    apply_version: u16,
    at: u64,
    action: Form,
}

/// [`Action`] in wire types.
#[derive(Archive, Serialize, Deserialize)]
enum Form {
    Found { cluster: [u8; 16], key: [u8; 16], admin_token: [u8; 32] },
    Ingest(Vec<Part>),
    OpenEpoch(OpenForm),
    Skip(SkipForm),
    DefineSite { tenant: String, site: String, title: String },
    Enrol { sensor: [u8; 16], tenant: String, site: String, name: String },
    Revoke([u8; 16]),
    Tick,
    UpdateFinding(UpdateForm),
    ReportNode { node: u64, name: String, path: String, free: u64, enough: bool, short: bool },
    ReportClock { node: u64, name: String, offset: i64, off: bool },
}

#[derive(Archive, Serialize, Deserialize)]
struct Part {
    sensor: [u8; 16],
    clock_offset: i64,
    length: u32,
}

#[derive(Archive, Serialize, Deserialize)]
struct OpenForm {
    sensor: [u8; 16],
    tenant: String,
    epoch: u64,
    held: Vec<u64>,
    lane: u8,
    tails: Vec<u64>,
    remote: String,
    version: String,
}

#[derive(Archive, Serialize, Deserialize)]
struct SkipForm {
    sensor: [u8; 16],
    epoch: u64,
    lane: u8,
    seq: u64,
    chain: u64,
    events: u32,
    reason: String,
}

#[derive(Archive, Serialize, Deserialize)]
struct UpdateForm {
    tenant: String,
    finding: [u8; 16],
    expected: Vec<u64>,
    status: Option<u8>,
    assignee: Option<String>,
    note: Option<String>,
    by: String,
}

/// Why an entry's bytes are no command: the node must stop, for it cannot follow its cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACommand {
    /// The envelope is cut short or not laid out as this build expects.
    #[error("its envelope is not laid out as this build expects: it may be of a newer version")]
    Layout,
    /// The frames are not as long as the envelope says.
    #[error("its frames are not as long as its envelope says")]
    Length,
    /// A name in it breaks its grammar.
    #[error(transparent)]
    Name(#[from] NotAnId),
    /// It needs a newer `apply`.
    #[error("it needs apply version {0}, this build has {own}: update this node", own = super::APPLY_VERSION)]
    Newer(u16),
}

impl Command {
    /// The bytes that go into the log.
    ///
    /// # Errors
    /// Only if memory cannot be had.
    pub fn encode(&self) -> Result<Bytes, rancor::Error> {
        let envelope = rkyv::to_bytes::<rancor::Error>(&Envelope {
            apply_version: self.apply_version,
            at: self.at.as_nanos(),
            action: form(&self.action),
        })?;
        let mut bytes = BytesMut::with_capacity(4 + envelope.len() + self.frame_bytes());
        bytes.put_u32_le(envelope.len() as u32);
        bytes.put_slice(&envelope);
        if let Action::Ingest(submissions) = &self.action {
            submissions.iter().for_each(|submission| bytes.put_slice(&submission.frame));
        }
        Ok(bytes.freeze())
    }

    /// Reads what [`encode`](Self::encode) wrote; its frames share `bytes`.
    ///
    /// # Errors
    /// [`NotACommand`].
    pub fn decode(mut bytes: Bytes) -> Result<Self, NotACommand> {
        let length = bytes.first_chunk::<4>().ok_or(NotACommand::Layout)?;
        let length = u32::from_le_bytes(*length) as usize;
        let mut frames = bytes.split_off(4);
        if frames.len() < length {
            return Err(NotACommand::Layout);
        }
        let envelope = frames.split_to(length);
        let envelope = rkyv::from_bytes::<Envelope, rancor::Failure>(&envelope)
            .map_err(|rancor::Failure| NotACommand::Layout)?;
        if envelope.apply_version > super::APPLY_VERSION {
            return Err(NotACommand::Newer(envelope.apply_version));
        }
        Ok(Self {
            apply_version: envelope.apply_version,
            at: Timestamp::from_nanos(envelope.at),
            action: action(envelope.action, frames)?,
        })
    }
}

fn form(action: &Action) -> Form {
    match action {
        Action::Found { cluster, key, admin_token } => {
            Form::Found { cluster: cluster.0, key: key.0, admin_token: *admin_token }
        }
        Action::Ingest(submissions) => Form::Ingest(
            submissions
                .iter()
                .map(|submission| Part {
                    sensor: submission.sensor.0,
                    clock_offset: submission.clock_offset,
                    length: submission.frame.len() as u32,
                })
                .collect(),
        ),
        Action::OpenEpoch(open) => Form::OpenEpoch(OpenForm {
            sensor: open.sensor.0,
            tenant: open.tenant.to_string(),
            epoch: open.epoch,
            held: open.held.clone(),
            lane: open.lane.number(),
            tails: open.tails.clone(),
            remote: open.remote.clone(),
            version: open.version.clone(),
        }),
        Action::Skip(skip) => Form::Skip(SkipForm {
            sensor: skip.sensor.0,
            epoch: skip.epoch,
            lane: skip.lane.number(),
            seq: skip.seq,
            chain: skip.chain,
            events: skip.events,
            reason: skip.reason.clone(),
        }),
        Action::DefineSite(DefineSite { tenant, site, title }) => Form::DefineSite {
            tenant: tenant.to_string(),
            site: site.to_string(),
            title: title.clone(),
        },
        Action::Enrol(Enrol { sensor, tenant, site, name }) => Form::Enrol {
            sensor: sensor.0,
            tenant: tenant.to_string(),
            site: site.to_string(),
            name: name.clone(),
        },
        Action::Revoke(sensor) => Form::Revoke(sensor.0),
        Action::Tick => Form::Tick,
        Action::ReportClock(ReportClock { node, name, offset, off }) => {
            Form::ReportClock { node: *node, name: name.clone(), offset: *offset, off: *off }
        }
        Action::UpdateFinding(update) => Form::UpdateFinding(UpdateForm {
            tenant: update.tenant.to_string(),
            finding: update.finding.0.0.to_le_bytes(),
            expected: update.expected.clone(),
            status: update.status.map(Status::code),
            assignee: update.assignee.clone(),
            note: update.note.clone(),
            by: update.by.clone(),
        }),
        Action::ReportNode(report) => Form::ReportNode {
            node: report.node,
            name: report.name.clone(),
            path: report.path.clone(),
            free: report.free,
            enough: report.enough,
            short: report.short,
        },
    }
}

fn action(form: Form, frames: Bytes) -> Result<Action, NotACommand> {
    if !frames.is_empty() && !matches!(form, Form::Ingest(_)) {
        return Err(NotACommand::Length);
    }
    Ok(match form {
        Form::Found { cluster, key, admin_token } => {
            Action::Found { cluster: ClusterId(cluster), key: HashKey(key), admin_token }
        }
        Form::Ingest(parts) => Action::Ingest(submissions(parts, frames)?),
        Form::OpenEpoch(open) => Action::OpenEpoch(OpenEpoch {
            sensor: SensorId(open.sensor),
            tenant: open.tenant.parse()?,
            epoch: open.epoch,
            held: open.held,
            lane: lane(open.lane)?,
            tails: open.tails,
            remote: open.remote,
            version: open.version,
        }),
        Form::Skip(skip) => Action::Skip(Skip {
            sensor: SensorId(skip.sensor),
            epoch: skip.epoch,
            lane: lane(skip.lane)?,
            seq: skip.seq,
            chain: skip.chain,
            events: skip.events,
            reason: skip.reason,
        }),
        Form::DefineSite { tenant, site, title } => {
            Action::DefineSite(DefineSite { tenant: tenant.parse()?, site: site.parse()?, title })
        }
        Form::Enrol { sensor, tenant, site, name } => Action::Enrol(Enrol {
            sensor: SensorId(sensor),
            tenant: tenant.parse()?,
            site: site.parse()?,
            name,
        }),
        Form::Revoke(sensor) => Action::Revoke(SensorId(sensor)),
        Form::Tick => Action::Tick,
        Form::ReportClock { node, name, offset, off } => {
            Action::ReportClock(ReportClock { node, name, offset, off })
        }
        Form::UpdateFinding(update) => Action::UpdateFinding(UpdateFinding {
            tenant: update.tenant.parse()?,
            finding: FindingId(MintedId(u128::from_le_bytes(update.finding))),
            expected: update.expected,
            status: update.status.map(status).transpose()?,
            assignee: update.assignee,
            note: update.note,
            by: update.by,
        }),
        Form::ReportNode { node, name, path, free, enough, short } => {
            Action::ReportNode(ReportNode { node, name, path, free, enough, short })
        }
    })
}

fn lane(number: u8) -> Result<Lane, NotACommand> {
    Lane::from_number(number).ok_or(NotACommand::Layout)
}

fn status(code: u8) -> Result<Status, NotACommand> {
    Status::from_code(code).ok_or(NotACommand::Layout)
}

fn submissions(parts: Vec<Part>, mut frames: Bytes) -> Result<Vec<Submission>, NotACommand> {
    let mut submissions = Vec::with_capacity(parts.len());
    for Part { sensor, clock_offset, length } in parts {
        if frames.len() < length as usize {
            return Err(NotACommand::Length);
        }
        let frame = frames.split_to(length as usize);
        submissions.push(Submission { sensor: SensorId(sensor), clock_offset, frame });
    }
    if frames.is_empty() { Ok(submissions) } else { Err(NotACommand::Length) }
}

#[cfg(test)]
mod tests;
