//! The leader is killed, twice, while three sensors replay: nothing that was promised is lost or
//! there twice, and all nodes agree.

use crate::harness::ledger::Ledger;
use crate::harness::{Site, World, drained, judge, scenario, wait_until};

/// Batches that must be acknowledged between two blows.
const STEP: usize = 6;

/// Entries between two snapshots: the log keeps half of it, more than are committed while a node is
/// away, so that it comes back by the log and with all events.
const SNAPSHOT_ENTRIES: u64 = 400;

fn acked(sites: &[Site]) -> usize {
    sites.iter().map(|site| Ledger::read(&site.files.ledger).acked.len()).sum()
}

#[test]
fn nothing_is_lost_or_doubled_when_leaders_are_killed() {
    let mut world = World::found_with_snapshots_every(Some(SNAPSHOT_ENTRIES));
    let sites = ["a", "b", "c"].map(|name| world.site(&scenario(name, 60, 8, 2)));
    // Eight minutes in 24 seconds.
    let mut sensors = sites.each_ref().map(|site| world.replay(site, "20x"));
    for _ in 0..2 {
        let before = acked(&sites);
        wait_until("batches are acknowledged", || acked(&sites) >= before + STEP);
        let leader = world.leader();
        world.kill(leader);
        for sensor in &mut sensors {
            assert!(sensor.is_running().unwrap(), "the leader was killed too late");
        }
        let at_the_kill = acked(&sites);
        wait_until("the others go on", || acked(&sites) >= at_the_kill + STEP);
        world.start(leader);
    }
    let summaries = sensors.map(drained);
    let events = judge::exactly_once(&world, &sites);
    // What was sent twice on the way stands in the log twice: an index that is built anew from it
    // must come to the same.
    world.await_snapshot(0);
    world.rebuild_index(0);
    assert!(judge::exactly_once(&world, &sites) == events);
    for ((site, events), summary) in sites.iter().zip(&events).zip(summaries) {
        let ledger = Ledger::read(&site.files.ledger);
        assert!(ledger.rejected.is_empty(), "{:?}", ledger.rejected);
        for count in ["events", "events_emitted", "events_acked"] {
            assert_eq!(summary[count], ledger.events(), "{count}");
        }
        assert_eq!(ledger.acked.len(), ledger.promised.len());
        judge::same_as_inspected(site, events);
    }
}
