//! Reads all events that one node has of one sensor, page by page: memory grows with batches, not
//! with events.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::book::lane_of;
use crate::door::Door;
use crate::judge::Held;

/// How long a node may refuse a page: its index may be fed again after a restart.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);

/// A page of events, of which only this is read.
#[derive(Deserialize)]
struct Page {
    data: Vec<Item>,
    page: Next,
    meta: Meta,
}

#[derive(Deserialize)]
struct Item {
    epoch: String,
    lane: String,
    seq: u64,
    position: u64,
    index: u64,
}

#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    history_from: Option<u64>,
}

/// Everything that a node has of a sensor.
///
/// # Errors
/// The last refusal, where it lasted; an answer that cannot be read.
pub fn scan(node: usize, door: &Door, sensor: &str) -> anyhow::Result<Held> {
    let mut held = Held::at(node);
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/events?sensor={sensor}&consistency=local&limit=1000{cursor}");
        let page = page(door, &path)?;
        held.history_from = held.history_from.max(page.meta.history_from.unwrap_or(0));
        for item in page.data {
            let lane = lane_of(&item.lane);
            let epoch = u64::from_str_radix(&item.epoch, 16).ok();
            let Some((lane, epoch)) = lane.zip(epoch) else {
                anyhow::bail!("{} {} is no place", item.lane, item.epoch)
            };
            held.add((lane, epoch, item.seq), item.position, item.index);
        }
        match page.page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(held),
        }
    }
}

fn page(door: &Door, path: &str) -> anyhow::Result<Page> {
    let begun = Instant::now();
    loop {
        let refusal = match door.read(path) {
            Ok(answer) if answer.is_good() => return Ok(serde_json::from_str(&answer.text)?),
            Ok(answer) => format!("{}: {}", answer.status, answer.text),
            Err(cause) => cause,
        };
        anyhow::ensure!(begun.elapsed() < PATIENCE, "{path}: {refusal}");
        std::thread::sleep(PAUSE);
    }
}
