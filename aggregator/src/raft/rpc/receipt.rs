//! Receipts as bytes: what a command came to, on its way from the leader to a follower.

use bytes::BufMut;
use wardmesh_common::id::ClusterId;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::Reason;

use crate::raft::codec::{self, Malformed, Reader};
use crate::state::receipt::{BatchReceipt, OpenedEpoch, Receipt, Watermark};

/// Reasons by their number on this wire: appended to, never reordered.
pub(super) const REASONS: [Reason; 12] = [
    Reason::Malformed,
    Reason::TooLarge,
    Reason::UnknownSchema,
    Reason::WrongSensor,
    Reason::WrongCluster,
    Reason::NotEnrolled,
    Reason::Revoked,
    Reason::EpochClosed,
    Reason::Forked,
    Reason::OutOfTurn,
    Reason::NotReady,
    Reason::PassedOver,
];

pub(super) fn put_receipt(out: &mut Vec<u8>, receipt: &Receipt) {
    match receipt {
        Receipt::Done => out.put_u8(0),
        Receipt::Ingested(receipts) => {
            out.put_u8(1);
            out.put_u32_le(receipts.len() as u32);
            receipts.iter().for_each(|receipt| put_batch_receipt(out, receipt));
        }
        Receipt::EpochOpened(opened) => {
            out.put_u8(2);
            codec::put_text(out, opened.site.as_str());
            out.put_u32_le(opened.watermarks.len() as u32);
            opened.watermarks.iter().for_each(|watermark| put_watermark(out, watermark));
        }
        Receipt::Accepted => out.put_u8(3),
        Receipt::Refused(why) => {
            out.put_u8(4);
            codec::put_text(out, why);
        }
        Receipt::Founded(cluster) => {
            out.put_u8(5);
            out.put_slice(&cluster.0);
        }
        Receipt::Updated { revision } => {
            out.put_u8(6);
            out.put_u64_le(*revision);
        }
        Receipt::Stale { revision } => {
            out.put_u8(7);
            out.put_u64_le(*revision);
        }
        Receipt::NotFound => out.put_u8(8),
    }
}

pub(super) fn receipt(reader: &mut Reader) -> Result<Receipt, Malformed> {
    Ok(match reader.u8("receipt")? {
        0 => Receipt::Done,
        1 => {
            let count = reader.u32("receipts")?;
            Receipt::Ingested((0..count).map(|_| batch_receipt(reader)).collect::<Result<_, _>>()?)
        }
        2 => {
            let site = reader.text("site")?.parse().map_err(|_| Malformed::Unknown("site", 0))?;
            let count = reader.u32("watermarks")?;
            let watermarks = (0..count).map(|_| watermark(reader)).collect::<Result<_, _>>()?;
            Receipt::EpochOpened(OpenedEpoch { site, watermarks })
        }
        3 => Receipt::Accepted,
        4 => Receipt::Refused(reader.text("refusal")?),
        5 => {
            let cluster = reader.take(16, "cluster")?;
            let cluster = cluster.first_chunk().ok_or(Malformed::Short("cluster"))?;
            Receipt::Founded(ClusterId(*cluster))
        }
        6 => Receipt::Updated { revision: reader.u64("revision")? },
        7 => Receipt::Stale { revision: reader.u64("revision")? },
        8 => Receipt::NotFound,
        other => return Err(Malformed::Unknown("receipt", other.into())),
    })
}

pub(super) fn put_batch_receipt(out: &mut Vec<u8>, receipt: &BatchReceipt) {
    let (kind, value) = match receipt {
        BatchReceipt::Applied => (0, 0),
        BatchReceipt::Duplicate { watermark } => (1, *watermark),
        BatchReceipt::Gap { expected } => (2, *expected),
        BatchReceipt::Rejected(reason) => {
            let number = REASONS.iter().position(|known| known == reason);
            (3, number.unwrap_or(REASONS.len()) as u64)
        }
    };
    out.put_u8(kind);
    out.put_u64_le(value);
}

pub(super) fn batch_receipt(reader: &mut Reader) -> Result<BatchReceipt, Malformed> {
    let kind = reader.u8("batch receipt")?;
    let value = reader.u64("batch receipt")?;
    Ok(match kind {
        0 => BatchReceipt::Applied,
        1 => BatchReceipt::Duplicate { watermark: value },
        2 => BatchReceipt::Gap { expected: value },
        3 => {
            let reason = usize::try_from(value).ok().and_then(|number| REASONS.get(number));
            BatchReceipt::Rejected(*reason.ok_or(Malformed::Unknown("reason", value))?)
        }
        other => return Err(Malformed::Unknown("batch receipt", other.into())),
    })
}

fn put_watermark(out: &mut Vec<u8>, watermark: &Watermark) {
    out.put_u64_le(watermark.epoch);
    out.put_u8(watermark.lane.number());
    out.put_u64_le(watermark.seq);
    out.put_u64_le(watermark.events);
    out.put_u32_le(watermark.chains.len() as u32);
    watermark.chains.iter().for_each(|chain| out.put_u64_le(*chain));
    out.put_u32_le(watermark.skipped);
}

fn watermark(reader: &mut Reader) -> Result<Watermark, Malformed> {
    let epoch = reader.u64("epoch")?;
    let lane = reader.u8("lane")?;
    let lane = Lane::from_number(lane).ok_or(Malformed::Unknown("lane", lane.into()))?;
    let (seq, events) = (reader.u64("seq")?, reader.u64("events")?);
    let count = reader.u32("chains")?;
    let chains = (0..count).map(|_| reader.u64("chain")).collect::<Result<_, _>>()?;
    Ok(Watermark { epoch, lane, seq, events, chains, skipped: reader.u32("skipped")? })
}
