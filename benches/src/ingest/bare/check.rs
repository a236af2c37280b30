//! What every node looks at in a frame: that it is sound, and the next of its lane.

use std::collections::HashMap;

use anyhow::ensure;
use wardmesh_common::id::SensorId;
use wardmesh_common::wire::frame::{Frame, Header};
use wardmesh_common::wire::v1;

/// The last place of each lane, and buffers.
#[derive(Debug, Default)]
pub(super) struct Checker {
    watermarks: HashMap<(SensorId, u64), u64>,
    scratch: Vec<u8>,
}

impl Checker {
    /// Checks one frame; `None` where it came before.
    pub(super) fn check(&mut self, bytes: &[u8]) -> anyhow::Result<Option<Header>> {
        let frame = Frame::open(bytes)?;
        let header = frame.header;
        let batch = v1::open(frame.archive(&mut self.scratch)?, header.events)?;
        let mark = self.watermarks.entry((SensorId(batch.sensor), header.epoch)).or_default();
        if header.seq <= *mark {
            return Ok(None);
        }
        ensure!(header.seq == *mark + 1, "batch {} came after {mark}", header.seq);
        *mark = header.seq;
        Ok(Some(header))
    }
}
