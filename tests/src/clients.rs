//! Clients that read and change one finding at all nodes, while everything goes wrong, and write down
//! what they saw.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::door::{Answer, Door};
use crate::draw::Draw;
use crate::register::{Operation, What};
use crate::rig::{NODES, Rig};

/// How many there are.
const CLIENTS: u64 = 3;

/// Between two operations of one client.
const PAUSE: Duration = Duration::from_millis(150);

/// How long one waits for an answer before the outcome is called unknown.
const PATIENCE: Duration = Duration::from_secs(6);

/// What the clients saw.
#[derive(Debug, Default)]
pub struct Clients {
    done: AtomicBool,
    at_work: AtomicUsize,
    history: Mutex<Vec<Operation>>,
}

impl Clients {
    /// Begins as soon as there is a finding, until [`Clients::end`].
    pub fn begin<'scope>(
        &'scope self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        rig: &'scope Rig,
        seed: u64,
    ) {
        scope.spawn(move || {
            let Some(finding) = self.finding(rig) else { return };
            let begun = Instant::now();
            self.at_work.store(CLIENTS as usize, Ordering::Release);
            std::thread::scope(|clients| {
                for client in 0..CLIENTS {
                    let path = format!("/api/v1/findings/{finding}");
                    let draw = Draw::new(seed.wrapping_mul(31).wrapping_add(client));
                    clients.spawn(move || {
                        self.work(rig, client, &path, draw, begun);
                        self.at_work.fetch_sub(1, Ordering::AcqRel);
                    });
                }
            });
        });
    }

    /// Ends the clients; when it returns, the history has what each did last.
    pub fn end(&self) {
        self.done.store(true, Ordering::Release);
        let begun = Instant::now();
        while self.at_work.load(Ordering::Acquire) > 0 && begun.elapsed() < 2 * PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What was seen so far.
    #[must_use]
    pub fn history(&self) -> Vec<Operation> {
        self.history.lock().unwrap().clone()
    }

    fn is_done(&self, rig: &Rig) -> bool {
        self.done.load(Ordering::Acquire) || rig.stopped.load(Ordering::Acquire)
    }

    fn finding(&self, rig: &Rig) -> Option<String> {
        while !self.is_done(rig) {
            let all = rig.door(0).json("/api/v1/findings?limit=1&consistency=local");
            if let Some(id) = all.as_ref().and_then(|all| all["data"][0]["id"].as_str()) {
                return Some(id.to_owned());
            }
            std::thread::sleep(PAUSE);
        }
        None
    }

    fn work(&self, rig: &Rig, client: u64, path: &str, mut draw: Draw, begun: Instant) {
        let doors: Vec<Door> = (0..NODES).map(|node| rig.door(node).patient(PATIENCE)).collect();
        let (mut seen, mut number) = (None, 0_u64);
        while !self.is_done(rig) {
            std::thread::sleep(PAUSE);
            let door = &doors[draw.below(NODES)];
            let begin = begun.elapsed();
            let what = match seen.filter(|_| draw.below(2) == 0) {
                None => read(door, path),
                Some(expected) => {
                    number += 1;
                    change(door, path, expected, &format!("client {client} change {number}"))
                }
            };
            let Some(what) = what else { continue };
            seen = match &what {
                What::Read(revision, _) | What::Refused(revision) => Some(*revision),
                What::Changed(expected, _) => Some(expected + 1),
                What::Unknown(..) => None,
            };
            let answered = !matches!(what, What::Unknown(..));
            let end = answered.then(|| begun.elapsed());
            self.history.lock().unwrap().push(Operation { begin, end, what });
        }
    }
}

fn read(door: &Door, path: &str) -> Option<What> {
    let finding = door.json(&format!("{path}?consistency=linearizable"))?;
    let note = finding["note"].as_str().unwrap_or_default().to_owned();
    Some(What::Read(finding["revision"].as_u64()?, note))
}

/// What was refused before it was tried is nothing that happened.
fn change(door: &Door, path: &str, expected: u64, note: &str) -> Option<What> {
    let unknown = || Some(What::Unknown(expected, note.to_owned()));
    let tag = format!("\"{expected}\"");
    match door.patch(path, &tag, &json!({ "note": note })) {
        Ok(answer) if answer.is_good() => Some(What::Changed(expected, note.to_owned())),
        Ok(Answer { status: 412, text, .. }) => {
            let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            problem["revision"].as_u64().map(What::Refused)
        }
        Ok(_) | Err(_) => unknown(),
    }
}
