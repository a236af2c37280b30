//! The one function in which untrusted bytes become a batch.
//!
//! A `Submission` that exists is well formed, within limits, and sent by the sensor that it names;
//! whether it is the next in its lane is the state's part.

use std::fmt;

use bytes::Bytes;
use wardmesh_common::fault::{Fault, planted};
use wardmesh_common::id::SensorId;
use wardmesh_common::wire::frame::{Frame, FrameError, Header, Place, Schema};
use wardmesh_common::wire::message::Reason;
use wardmesh_common::wire::v1;

use crate::state::command::Submission;

/// A batch on its way to the leader.
#[derive(Clone)]
pub struct Admitted {
    /// Its header.
    pub header: Header,
    /// What is proposed.
    pub submission: Submission,
}

/// Names the batch, not what is in it.
impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admitted({:?})", self.header)
    }
}

/// Why bytes are not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// The batch's place in its lane, where that can be believed: the frame's checksum holds.
    pub place: Option<Place>,
    /// The cause in words, without a byte of the payload.
    pub detail: String,
}

/// Admits a frame that came under `sender`'s certificate.
///
/// `clock_offset` is our clock minus the sensor's in nanoseconds; `scratch` is reused between calls.
///
/// # Errors
/// [`Rejection`].
pub fn admit(
    bytes: Bytes,
    sender: SensorId,
    clock_offset: i64,
    scratch: &mut Vec<u8>,
) -> Result<Admitted, Rejection> {
    let rejected = |reason, cause: &dyn fmt::Display| Rejection {
        reason,
        place: Place::of(&bytes),
        detail: cause.to_string(),
    };
    let frame = Frame::open(&bytes).map_err(|cause| rejected(reason_of(&cause), &cause))?;
    let header = frame.header;
    if header.schema != Schema::Batch {
        return Err(rejected(Reason::OutOfTurn, &"a batch was due"));
    }
    if header.seq == 0 {
        return Err(rejected(Reason::Malformed, &"sequence numbers begin with 1"));
    }
    let archive = frame.archive(scratch).map_err(|cause| rejected(reason_of(&cause), &cause))?;
    let batch =
        v1::open(archive, header.events).map_err(|cause| rejected(Reason::Malformed, &cause))?;
    let named = planted(Fault::SiteCheckRemoved);
    let sender = if named { SensorId(batch.sensor) } else { sender };
    if batch.sensor != sender.0 {
        return Err(rejected(Reason::WrongSensor, &"the batch names another sensor"));
    }
    let submission = Submission { sensor: sender, clock_offset, frame: bytes.clone() };
    Ok(Admitted { header, submission })
}

fn reason_of(cause: &FrameError) -> Reason {
    match cause {
        FrameError::UnknownSchema { .. } => Reason::UnknownSchema,
        FrameError::TooLarge { .. } => Reason::TooLarge,
        FrameError::Length { .. }
        | FrameError::Magic
        | FrameError::Checksum { .. }
        | FrameError::Field(_)
        | FrameError::Compression(_) => Reason::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardmesh_common::event::{Event, EventKind, Party};
    use wardmesh_common::time::Timestamp;
    use wardmesh_common::wire::Lane;
    use wardmesh_common::wire::frame::{self, Seal};
    use wardmesh_common::wire::message::{Hello, Message};
    use wardmesh_common::wire::v1::BatchBuilder;

    const SENSOR: SensorId = SensorId([1; 16]);

    fn archive() -> Vec<u8> {
        let mut builder = BatchBuilder::new(SENSOR, &["eth0".to_owned()]);
        builder.push(&Event {
            observed_at: Timestamp::from_nanos(1),
            kind: EventKind::Sighting,
            interface: 0,
            device: Party::default(),
            peer: None,
            service: None,
            attributes: Vec::new(),
            counters: Vec::new(),
        });
        builder.finish().unwrap().0
    }

    fn sealed(archive: &[u8], events: u32, seq: u64) -> Bytes {
        let seal = Seal {
            schema: Schema::Batch,
            lane: Lane::Bulk,
            events,
            epoch: 1,
            seq,
            sealed_at: Timestamp::from_nanos(2),
            previous_chain: 0,
        };
        frame::seal(&seal, archive, true)
    }

    #[track_caller]
    fn check(bytes: Bytes, expect: Reason) {
        let rejection = admit(bytes, SENSOR, 0, &mut Vec::new()).unwrap_err();
        assert_eq!(rejection.reason, expect, "{}", rejection.detail);
    }

    #[test]
    fn admits_a_batch_of_its_sensor() {
        let admitted = admit(sealed(&archive(), 1, 1), SENSOR, 5, &mut Vec::new()).unwrap();
        assert_eq!((admitted.header.seq, admitted.submission.clock_offset), (1, 5));
    }

    #[test]
    fn refuses_all_else() {
        check(Bytes::from_static(b"GET / HTTP/1.1\r\n"), Reason::Malformed);
        check(Bytes::from(vec![0; 200_000]), Reason::TooLarge);
        check(sealed(&archive(), 2, 1), Reason::Malformed);
        check(sealed(&archive(), 1, 0), Reason::Malformed);
        check(sealed(b"no archive", 1, 1), Reason::Malformed);
        let mut other = archive();
        let at = other.windows(16).position(|window| window == [1; 16]).unwrap();
        other[at..at + 16].fill(2);
        check(sealed(&other, 1, 1), Reason::WrongSensor);
        let hello = Hello {
            cluster: None,
            sensor: SENSOR.0,
            epoch: 1,
            tails: Vec::new(),
            held: vec![],
            version_min: 1,
            version_max: 1,
            compression: true,
            sent_at: 0,
            software: String::new(),
        };
        let hello = Message::Hello(hello).seal(Lane::Bulk, Timestamp::EPOCH).unwrap();
        check(hello, Reason::OutOfTurn);
    }

    #[test]
    fn a_newer_batch_still_has_its_place() {
        let mut newer = sealed(&archive(), 1, 7).to_vec();
        newer[6] = 2;
        let payload = crc32c::crc32c(&newer[64..]);
        let checksum = crc32c::crc32c_append(payload, &newer[..60]);
        newer[60..64].copy_from_slice(&checksum.to_le_bytes());
        let rejection = admit(newer.into(), SENSOR, 0, &mut Vec::new()).unwrap_err();
        assert_eq!(rejection.reason, Reason::UnknownSchema);
        assert_eq!(rejection.place.map(|place| (place.epoch, place.seq)), Some((1, 7)));
        let garbage = admit(Bytes::from(vec![7; 200]), SENSOR, 0, &mut Vec::new()).unwrap_err();
        assert_eq!(garbage.place, None);
    }

    #[test]
    fn survives_every_flipped_bit() {
        let bytes = sealed(&archive(), 1, 1).to_vec();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(admit(flipped.into(), SENSOR, 0, &mut Vec::new()).is_err(), "bit {bit}");
        }
    }
}
