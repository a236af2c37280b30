//! The second half of N21: a copy of a sensor runs beside it. Once both of them have been heard and go
//! on, the cluster says so by a finding about that sensor.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wardmesh_tests::book::{Book, Spot};
use wardmesh_tests::breach::Invariant;
use wardmesh_tests::rig::{NODES, PATIENCE, Post, Rig};

/// The findings that may say it, and all that are asked for.
const REPORTS: &str =
    "/api/v1/findings?rule=sensor-cloned&rule=sensor-forked&limit=100&consistency=local";

/// How long after both went on the finding may take: the batch that shows it raises it, but a node
/// that is asked may just then be asleep.
const REPORTED_WITHIN: Duration = Duration::from_secs(20);

/// Between two looks at the ledgers of both.
const LOOK: Duration = Duration::from_millis(100);

/// A second process with the same identity over a copy of the spool, beside the first; what it
/// promised counts as well.
pub(super) fn run(rig: &Rig, sensor: usize, image: &Path, span: Duration) -> anyhow::Result<()> {
    let post = &rig.sensors[sensor];
    let id = post.files.sensor.to_string();
    let mut before = None;
    rig.until("findings can be read", PATIENCE, || {
        before = reports(rig, &id);
        before.is_some()
    })?;
    let ledger = image.with_extension("ledger.ndjson");
    let clone = rig.clone_sensor(sensor, image, &ledger, None)?;
    let mut book = Book::of(ledger.clone());
    let spoken = rig.rest(span).and_then(|()| both_go_on(rig, post, &mut book));
    wardmesh_cli::local::Child::stop_all(vec![clone])?;
    // What it has left arrives: it is a sensor like any other.
    let drained = rig.drain_clone(sensor, image, &ledger);
    book.follow()?;
    post.book.lock().unwrap().absorb(book);
    spoken.and(drained)?;
    await_report(rig, post, &id, before)
}

/// Waits until each of the two has had a batch acknowledged that it made after both had been heard:
/// then the older one spoke after the newer.
fn both_go_on(rig: &Rig, post: &Post, clone: &mut Book) -> anyhow::Result<()> {
    for what in ["both copies are heard", "both copies go on"] {
        let known = [spots(&post.book.lock().unwrap()), spots(clone)];
        rig.until(&format!("{what} of {}", post.name), PATIENCE, || {
            std::thread::sleep(LOOK);
            // What cannot be read now can be later.
            let _ = clone.follow();
            let ours = has_new(&post.book.lock().unwrap(), &known[0]);
            ours && has_new(clone, &known[1])
        })?;
    }
    Ok(())
}

fn spots(book: &Book) -> BTreeSet<Spot> {
    book.batches.keys().copied().collect()
}

/// Whether something is acknowledged that was not even made then.
fn has_new(book: &Book, known: &BTreeSet<Spot>) -> bool {
    book.batches.iter().any(|(spot, batch)| batch.acked && !known.contains(spot))
}

fn await_report(rig: &Rig, post: &Post, id: &str, before: Option<u64>) -> anyhow::Result<()> {
    let reported = rig.until("a clone is reported", REPORTED_WITHIN, || reports(rig, id) > before);
    if let Err(cause) = reported {
        anyhow::ensure!(!rig.stopped.load(Ordering::Acquire), cause);
        let what =
            format!("no finding says within {REPORTED_WITHIN:?} that {} runs twice", post.name);
        rig.breaches.note(Invariant::Unreported, what);
    }
    Ok(())
}

/// How often findings say that this sensor was copied; nothing where no node says so now.
fn reports(rig: &Rig, id: &str) -> Option<u64> {
    let pages = (0..NODES).filter_map(|node| rig.door(node).json(REPORTS));
    let counts = pages.filter_map(|page| {
        let findings = page["data"].as_array()?.clone();
        let about = findings.iter().filter(|finding| finding["subject"].as_str() == Some(id));
        Some(about.filter_map(|finding| finding["count"].as_u64()).sum())
    });
    counts.max()
}
