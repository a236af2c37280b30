//! `wardmesh status`: one screen over everything. What one part cannot say is named; the other parts
//! are shown still.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::access::{Access, note};
use crate::api::{Client, Page, Pages};
use crate::failure::Failure;
use crate::list::caveats;
use crate::output::{self, Format, at};

mod screen;
#[cfg(test)]
mod tests;

/// What `status --help` ends with.
pub(crate) const EXAMPLES: &str = "Examples:\n  wardmesh status\n  \
    wardmesh status --wait 60 && wardmesh devices list\n  \
    wardmesh status --consistency local -o json | jq .devices.by_class";

/// Devices and findings counted at most: the API has no totals yet, and a screen may take seconds.
const COUNTED_MAX: usize = 100_000;

/// How often a cluster that is waited for is asked.
const WAIT_STEP: Duration = Duration::from_millis(500);

/// See [`crate::cli::Ask::Status`].
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Wait until the cluster has a leader, this many seconds at most
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    wait: Option<u64>,
    #[command(flatten)]
    access: Access,
}

/// What was asked, and what could not be answered.
#[derive(Default)]
struct Gathered {
    parts: serde_json::Map<String, Value>,
    missing: Vec<(&'static str, Failure)>,
    meta: Value,
}

impl Gathered {
    fn add(&mut self, name: &'static str, answer: Result<Value, Failure>) {
        let value = answer.unwrap_or_else(|failure| {
            self.missing.push((name, failure));
            Value::Null
        });
        self.parts.insert(name.to_owned(), value);
    }

    fn list(&mut self, name: &'static str, page: Result<Page, Failure>) {
        let items = page.map(|page| {
            self.meta = page.meta;
            Value::Array(page.items)
        });
        self.add(name, items);
    }

    /// Adds how many items a list has of each kind, page by page: a fleet's devices are many.
    fn count(&mut self, name: &'static str, mut pages: Pages<'_>, (pointer, by): (&str, &str)) {
        let mut tally = Tally::default();
        let failed = pages.find_map(|page| match page {
            Ok(page) => {
                tally.add(&page.items, pointer);
                None
            }
            Err(failure) => Some(failure),
        });
        let complete = !pages.more();
        self.add(name, failed.map_or_else(|| Ok(tally.json(by, complete)), Err));
    }
}

/// Carries the command out.
///
/// # Errors
/// The first part's [`Failure`] where no part can be got; [`Failure::Partial`] where only some can.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let client = args.access.client();
    if let Some(seconds) = args.wait {
        await_leader(&client, Duration::from_secs(seconds))?;
    }
    let mut gathered = gather(&client);
    if gathered.parts.values().all(Value::is_null) && !gathered.missing.is_empty() {
        return Err(gathered.missing.swap_remove(0).1);
    }
    let status = Value::Object(std::mem::take(&mut gathered.parts));
    match args.access.output {
        Format::Table => screen::write(&status, out)?,
        format => output::json(&status, format, out)?,
    }
    caveats(&gathered.meta);
    partial(&gathered.missing)
}

fn gather(client: &Client) -> Gathered {
    let mut gathered = Gathered::default();
    let pages = |path, query| client.pages(path, query, COUNTED_MAX);
    gathered.add("cluster", client.get("/api/v1/cluster", &[]));
    if matches!(gathered.missing.as_slice(), [(_, Failure::Unreachable { .. })]) {
        return gathered;
    }
    gathered.list("members", client.whole("/api/v1/cluster/members"));
    for (name, path) in [("sites", "/api/v1/sites"), ("sensors", "/api/v1/sensors")] {
        gathered.list(name, pages(path, Vec::new()).collect_items());
    }
    gathered.count("devices", pages("/api/v1/devices", Vec::new()), ("/class", "by_class"));
    let open = pages("/api/v1/findings", vec![("status", "open".to_owned())]);
    gathered.count("findings_open", open, ("/severity", "by_severity"));
    gathered
}

/// How many there are, and how many of each kind.
#[derive(Default)]
struct Tally {
    total: usize,
    by: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts items by the text at a pointer.
    fn add(&mut self, items: &[Value], pointer: &str) {
        for item in items {
            let kind = at(item, pointer);
            let kind = if kind.is_empty() { "unknown".to_owned() } else { kind };
            *self.by.entry(kind).or_default() += 1;
            self.total += 1;
        }
    }

    /// As JSON, the most frequent kind first.
    fn json(self, name: &str, complete: bool) -> Value {
        let mut by: Vec<_> = self.by.into_iter().collect();
        by.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let by: serde_json::Map<_, _> = by.into_iter().map(|(kind, n)| (kind, n.into())).collect();
        json!({"total": self.total, "complete": complete, name: by})
    }
}

/// Asks until a leader is known or the time is over.
fn await_leader(client: &Client, wait: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let answer = client.get("/api/v1/cluster", &[]);
        let left = wait.saturating_sub(begun.elapsed());
        match answer {
            Ok(cluster) if !cluster["leader"].is_null() => return Ok(()),
            Ok(_) if left.is_zero() => {
                let cause = format!("no leader within {} s", wait.as_secs());
                let server = "the cluster".to_owned();
                return Err(Failure::Broken { server, cause, write: false });
            }
            Err(failure) if left.is_zero() || !may_pass(&failure) => return Err(failure),
            Ok(_) | Err(_) => std::thread::sleep(WAIT_STEP.min(left)),
        }
    }
}

fn may_pass(failure: &Failure) -> bool {
    failure.exit() == crate::failure::Exit::Unavailable
}

fn partial(missing: &[(&'static str, Failure)]) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    for (name, failure) in missing {
        note(&format!("{name}: {failure}"));
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    Err(Failure::Partial(format!("not all is known: {} cannot be read now", names.join(", "))))
}
