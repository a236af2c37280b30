//! What must have happened in a full run: a simulation in which nothing goes wrong proves nothing.

use std::collections::BTreeMap;

/// The seeds that the figures below are for, those of `just sim` and of CI.
pub(crate) const SEEDS: usize = 200;

/// The least that must happen over [`SEEDS`] seeds: about half of what does.
const LEAST: [(&str, u64); 37] = [
    ("acked", 5_500),
    ("answers lost", 200),
    ("calls lost", 340),
    ("calls twice", 310),
    ("changes", 70),
    ("clock jumps", 190),
    ("commands done", 3_700),
    ("commands refused", 40),
    ("commands unknown", 570),
    ("crashed", 740),
    ("crashes of all nodes", 150),
    ("cuts both ways", 200),
    ("cuts one way", 240),
    ("disks lost", 28),
    ("events refused", 760),
    ("findings", 1),
    ("fuses burnt", 40),
    ("hand-overs", 120),
    ("leader crashes", 100),
    ("leaders", 410),
    ("leaders isolated", 180),
    ("links broken", 55),
    ("node crashes", 230),
    ("nodes frozen", 160),
    ("nodes isolated", 150),
    ("parcels cut off both ways", 7_500),
    ("parcels cut off one way", 7_500),
    ("parcels delayed", 10_000),
    ("parcels overtaken", 7_500),
    ("reads", 13_000),
    ("resizes", 42),
    ("restored", 240),
    ("returns of removed nodes", 40),
    ("sensor crashes", 160),
    ("storms", 210),
    ("waits for room", 1_000),
    ("writes lost", 200),
];

/// What happened too seldom, in words.
pub(crate) fn too_little(counts: &BTreeMap<&'static str, u64>) -> Vec<String> {
    let seldom = LEAST.iter().filter_map(|(what, least)| {
        let count = counts.get(what).copied().unwrap_or(0);
        (count < *least).then(|| format!("{what}: {count}, at least {least} are due"))
    });
    seldom.collect()
}

#[test]
fn a_simulation_that_does_nothing_is_void() {
    assert_eq!(too_little(&BTreeMap::new()).len(), LEAST.len());
    assert_eq!(too_little(&LEAST.into()), Vec::<String>::new());
}
