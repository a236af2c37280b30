//! `inspect`: the sensor's pipeline over capture files, against merely reading their frames.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use wardmesh_benches::report::Report;
use wardmesh_benches::stopwatch::{memcpy_per_second, quickest};
use wardmesh_benches::{captures, process};
use wardmesh_sensor::capture::CaptureFile;
use wardmesh_sensor::decode::Decoder;
use wardmesh_sensor::dissect::DISSECTORS;
use wardmesh_sensor::flow::{HashKey, Limits};
use wardmesh_sensor::inspect::{self, Format};
use wardmesh_sensor::pipeline::Pipeline;

/// The largest of the shared captures.
const LARGEST: &str = "zeek/smb2.pcap";
/// So that it is 80 MB.
const REPEATED: u64 = 50;
/// A site of this size, for so long, is 90 MB.
const DEVICES: u32 = 200;
const MINUTES: u32 = 60;

const KEY: HashKey = HashKey([7; 16]);

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut report = Report::new("inspect");
    match captures::shared(LARGEST) {
        Some(largest) => {
            let path = folder.path().join("largest.pcap");
            captures::repeat(&largest, REPEATED, &path)?;
            report.section(format!("{LARGEST}, {REPEATED} times over"));
            measure(&mut report, &[path])?;
            let all = captures::all_shared();
            report.section(format!("all {} shared captures, one after the other", all.len()));
            measure(&mut report, &all)?;
        }
        None => report.section("the shared captures are not beside this checkout: left out"),
    }
    let path = folder.path().join("generated.pcap");
    captures::generate(&path, "a", DEVICES, MINUTES)?;
    report.section(format!("generated: {DEVICES} devices, {MINUTES} minutes"));
    measure(&mut report, &[path])?;
    Ok(report.print()?)
}

/// What a pass over the files saw.
#[derive(Clone, Copy, Default)]
struct Seen {
    packets: u64,
    bytes: u64,
    events: u64,
}

fn measure(report: &mut Report, paths: &[PathBuf]) -> anyhow::Result<()> {
    let (reading, seen) = quickest(|| each(paths, read))?;
    let (decoding, _) = quickest(|| each(paths, decode))?;
    process::forget_peak();
    let (piping, events) = quickest(|| each(paths, pipe))?;
    let peak = process::own_peak();
    let (rendering, _) = quickest(|| render(paths))?;
    let (packets, bytes) = (seen.packets as f64, seen.bytes as f64 / 1e6);
    report.figure("packets", packets, "packets");
    report.figure("bytes of frames", bytes, "MB");
    let limit = (packets / reading, "reading frames");
    report.figure("reading frames only", limit.0, "packets/s");
    report.against("… and decoding", packets / decoding, "packets/s", limit);
    report.against("whole pipeline", packets / piping, "packets/s", limit);
    report.against("whole pipeline to NDJSON", packets / rendering, "packets/s", limit);
    let copy = (memcpy_per_second() / 1e6, "copying memory");
    report.figure("copying memory", copy.0, "MB/s");
    report.against("reading frames only", bytes / reading, "MB/s", copy);
    report.against("whole pipeline", bytes / piping, "MB/s", copy);
    report.against("whole pipeline to NDJSON", bytes / rendering, "MB/s", copy);
    report.figure("pipeline, each packet", piping / packets * 1e9, "ns");
    report.figure("events", 1_000.0 * events.events as f64 / packets, "/1,000 packets");
    report.figure("peak memory of the pipeline", peak as f64 / 1e6, "MB");
    Ok(())
}

fn each(
    paths: &[PathBuf],
    one: fn(&Path, &mut Seen) -> anyhow::Result<()>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    paths.iter().try_for_each(|path| one(path, &mut seen))?;
    Ok(seen)
}

fn read(path: &Path, seen: &mut Seen) -> anyhow::Result<()> {
    let mut file = CaptureFile::open(path)?;
    // A damaged tail ends a capture here as it does in the pipeline.
    while let Ok(Some(frame)) = file.next_frame() {
        seen.packets += 1;
        seen.bytes += black_box(&frame).bytes.len() as u64;
    }
    Ok(())
}

fn decode(path: &Path, _: &mut Seen) -> anyhow::Result<()> {
    let (mut file, mut decoder) = (CaptureFile::open(path)?, Decoder::default());
    while let Ok(Some(frame)) = file.next_frame() {
        let _ = black_box(decoder.decode(&frame));
    }
    Ok(())
}

fn pipe(path: &Path, seen: &mut Seen) -> anyhow::Result<()> {
    let mut file = CaptureFile::open(path)?;
    let mut pipeline = Pipeline::new(DISSECTORS, KEY, Limits::default());
    let mut events = Vec::new();
    while let Ok(Some(frame)) = file.next_frame() {
        pipeline.push(&frame, &mut events);
        seen.events += black_box(&events).len() as u64;
        events.clear();
    }
    pipeline.finish(&mut events);
    seen.events += events.len() as u64;
    Ok(())
}

fn render(paths: &[PathBuf]) -> anyhow::Result<()> {
    let (mut out, mut warn) = (std::io::sink(), std::io::sink());
    inspect::inspect(paths, Format::Ndjson, DISSECTORS, KEY, &mut out, &mut warn)?;
    Ok(())
}
