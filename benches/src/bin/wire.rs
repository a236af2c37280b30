//! `wire`: events into archives and frames and back, against JSON and against the bytes themselves.

use std::hint::black_box;

use anyhow::Context;
use wardmesh_benches::report::Report;
use wardmesh_benches::stopwatch::{ROUNDS, memcpy_per_second, quickest};
use wardmesh_benches::{captures, events};
use wardmesh_common::event::Event;
use wardmesh_common::id::SensorId;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::frame::{Frame, Schema, Seal, seal};
use wardmesh_common::wire::v1::{self, BatchBuilder};
use wardmesh_common::wire::{EVENTS_PER_BATCH_MAX, Lane};

/// A site whose traffic gives some ten thousand events of every kind.
const DEVICES: u32 = 200;
const MINUTES: u32 = 30;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("site.pcap");
    captures::generate(&path, "a", DEVICES, MINUTES)?;
    let events = events::of_capture(&path)?;
    let mut report = Report::new("wire");
    report.section(format!("{} events of a generated site", events.len()));
    measure(&mut report, &events)?;
    Ok(report.print()?)
}

fn measure(report: &mut Report, events: &[Event]) -> anyhow::Result<()> {
    let count = events.len() as f64;
    // The builder takes the events over, as it does in the sensor.
    let mut copies = vec![events.to_vec(); ROUNDS];
    let (json_out, lines) = quickest(|| to_json(events))?;
    let (json_in, ()) = quickest(|| from_json(&lines))?;
    let (building, archives) = quickest(|| build(copies.pop().unwrap_or_default()))?;
    let (sealing, plain) = quickest(|| Ok(seal_all(&archives, false)))?;
    let (packing, packed) = quickest(|| Ok(seal_all(&archives, true)))?;
    let (opening_plain, _) = quickest(|| open(&plain, count_events))?;
    let (opening, _) = quickest(|| open(&packed, count_events))?;
    let (owning, _) = quickest(|| open(&packed, own_events))?;
    let out = (count / json_out, "JSON");
    report.figure("JSON, writing (peer)", out.0, "events/s");
    report.against("archive, building", count / building, "events/s", out);
    report.against("sealing", count / sealing, "events/s", out);
    report.against("sealing with LZ4", count / packing, "events/s", out);
    report.against("all of it", count / (building + packing), "events/s", out);
    let back = (count / json_in, "JSON");
    report.figure("JSON, reading (peer)", back.0, "events/s");
    report.against("opening", count / opening_plain, "events/s", back);
    report.against("opening with LZ4", count / opening, "events/s", back);
    report.against("opening with LZ4, to owned", count / owning, "events/s", back);
    let bytes = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).sum::<usize>() as f64;
    let size = (bytes(&lines) / count, "JSON");
    report.figure("JSON", size.0, "bytes/event");
    report.against("frames", bytes(&plain) / count, "bytes/event", size);
    report.against("frames with LZ4", bytes(&packed) / count, "bytes/event", size);
    let copy = (memcpy_per_second() / 1e6, "copying memory");
    report.figure("copying memory", copy.0, "MB/s");
    report.against("opening", bytes(&plain) / 1e6 / opening_plain, "MB/s", copy);
    Ok(())
}

fn to_json(events: &[Event]) -> anyhow::Result<Vec<Vec<u8>>> {
    events.iter().map(|event| Ok(serde_json::to_vec(event)?)).collect()
}

fn from_json(lines: &[Vec<u8>]) -> anyhow::Result<()> {
    for line in lines {
        black_box(serde_json::from_slice::<serde_json::Value>(line)?);
    }
    Ok(())
}

fn build(events: Vec<Event>) -> anyhow::Result<Vec<(Vec<u8>, u32)>> {
    let empty = || BatchBuilder::new(SensorId([1; 16]), &["eth0".to_owned()]);
    let (mut builder, mut archives) = (empty(), Vec::new());
    for event in events {
        if builder.len() >= EVENTS_PER_BATCH_MAX || !builder.has_room(&event) {
            archives.push(std::mem::replace(&mut builder, empty()).finish().context("archive")?);
        }
        builder.push_owned(event);
    }
    archives.push(builder.finish().context("archive")?);
    Ok(archives)
}

fn seal_all(archives: &[(Vec<u8>, u32)], compress: bool) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for ((archive, events), seq) in archives.iter().zip(1..) {
        let with = Seal {
            schema: Schema::Batch,
            lane: Lane::Bulk,
            events: *events,
            epoch: 1,
            seq,
            sealed_at: Timestamp::EPOCH,
            previous_chain: seq,
        };
        frames.push(seal(&with, archive, compress).into());
    }
    frames
}

fn open(frames: &[Vec<u8>], read: fn(v1::Batched<'_>) -> usize) -> anyhow::Result<usize> {
    let (mut scratch, mut events) = (Vec::new(), 0);
    for bytes in frames {
        let frame = Frame::open(bytes)?;
        let batch = v1::open(frame.archive(&mut scratch)?, frame.header.events)?;
        events += read(batch);
    }
    Ok(events)
}

fn count_events(batch: v1::Batched<'_>) -> usize {
    batch.events.iter().map(|event| usize::from(black_box(event).observed_at.to_native() > 0)).sum()
}

fn own_events(batch: v1::Batched<'_>) -> usize {
    (0..batch.events.len()).filter_map(|position| black_box(batch.event(position))).count()
}
