//! Whatever is passed over and fed again: no block in which a subject speaks is left out.

use wardmesh_common::id::{DeviceId, MintedId, SensorId};
use wardmesh_common::wire::Lane;

use super::*;

/// An entry's row: eight devices of which each speaks more rarely than the one before.
fn sparse(entry: u64) -> Vec<AppliedBatch> {
    let speaks = |device: &u64| Dice(entry * 8 + device + 1).below(12 << device) == 0;
    let devices = (0..8).filter(speaks).map(|id| DeviceId(MintedId(u128::from(id)))).collect();
    let at = Timestamp::from_parts(entry, 0);
    vec![AppliedBatch {
        ordinal: 0,
        tenant: tenant(),
        site: "north".parse().unwrap(),
        sensor: SensorId([(entry % 3) as u8; 16]),
        epoch: 1,
        lane: Lane::Bulk,
        seq: entry,
        events: 1,
        observed_min: at,
        observed_max: at,
        received_at: at,
        devices,
    }]
}

/// Whatever comes between: entries passed over, some of them fed again, starts.
#[test]
fn every_block_in_which_a_subject_speaks_is_found() {
    const ENTRIES: u64 = 3_000;
    for seed in 0..12 {
        let (folder, mut dice, mut next) = (tempfile::tempdir().unwrap(), Dice(seed + 1), 0);
        let mut index = open(folder.path(), 0).0;
        while next < ENTRIES {
            let until = (next + 1 + dice.below(90)).min(ENTRIES);
            (next..until).for_each(|entry| index.commit(entry, sparse(entry)));
            next = until + if dice.below(3) == 0 { dice.below(200) } else { 0 };
            match dice.below(8) {
                0 => {
                    drop(index);
                    index = open(folder.path(), next).0;
                }
                1..4 => {
                    index.flush();
                    let Some(missing) = index.progress().missing else { continue };
                    let through = missing.through.min(missing.from + dice.below(150));
                    (missing.from..=through).for_each(|at| feed(&index, at, sparse(at)));
                }
                _ => {}
            }
        }
        index.commit(next.max(ENTRIES), Vec::new());
        index.flush();
        while let Some(missing) = index.progress().missing {
            (missing.from..=missing.through).for_each(|at| {
                feed(&index, at, if at < ENTRIES { sparse(at) } else { Vec::new() });
            });
            index.flush();
        }
        for entry in 0..ENTRIES {
            let batch = &sparse(entry)[0];
            for subject in row::subjects(batch) {
                let block = key::block(entry);
                let found = cover::covered(&index.db, &batch.tenant, &subject, block).unwrap();
                assert!(found, "seed {seed}: {subject:?} in block {block}");
            }
        }
        drop(index);
        let expected = Expected { history_from: 0, ..expecting(next.max(ENTRIES) + 1) };
        assert_eq!(Index::open(folder.path(), &expected).unwrap().1, Rebuild::None, "seed {seed}");
    }
}

#[test]
fn rows_that_are_fed_between_those_that_are_new_count_once() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(400));
    let (index, _) = open(folder.path(), 0);
    commit(&index, &fleet, 0..70);
    // 70..200 were passed over: their rows come while those of a later block are written.
    for entry in 200..330 {
        commit(&index, &fleet, entry..entry + 1);
        feed(&index, entry - 130, fleet.rows(entry - 130));
        commit(&index, &fleet, entry..entry + 1);
    }
    index.flush();
    assert_eq!(index.progress().missing, None);
    drop(index);
    let (index, rebuild) = open(folder.path(), 330);
    assert_eq!(rebuild, Rebuild::None, "count and sum hold");
    // The block in which it was opened may have been begun before.
    commit(&index, &fleet, 330..400);
    assert_eq!(rows(&index), expected(&fleet, 0..400));
    opening::check_sample(&index.db).unwrap();
    drop(index);
    assert_eq!(open(folder.path(), 400).1, Rebuild::None);
}
