//! A sensor is killed in the middle of a replay and begins anew over the same spool: what the killed
//! start promised arrives all the same, beside everything of the second.

use crate::harness::ledger::Ledger;
use crate::harness::{World, drained, judge, scenario, wait_until};

#[test]
fn what_a_killed_sensor_promised_arrives() {
    let mut world = World::found();
    let site = world.site(&scenario("a", 60, 10, 3));
    let mut sensor = world.replay(&site, "60x");
    wait_until("batches are acknowledged", || Ledger::read(&site.files.ledger).acked.len() >= 3);
    // Without a majority nothing is acknowledged: the spool fills.
    let leader = world.leader();
    let follower = (leader + 1) % 3;
    world.kill(leader);
    world.kill(follower);
    let before = Ledger::read(&site.files.ledger).promised.len();
    wait_until("batches are spooled", || {
        Ledger::read(&site.files.ledger).promised.len() >= before + 2
    });
    assert!(sensor.is_running().unwrap(), "the sensor was killed too late");
    sensor.kill().unwrap();
    let killed = Ledger::read(&site.files.ledger);
    assert!(killed.acked.len() < killed.promised.len(), "nothing was left in the spool");

    world.start(leader);
    world.start(follower);
    let summary = drained(world.replay(&site, "max"));
    let ledger = Ledger::read(&site.files.ledger);
    assert!(ledger.epochs().len() >= 2, "{:?}", ledger.epochs());
    for (place, events) in &killed.promised {
        assert!(ledger.acked.contains(place), "{place:?}");
        assert!(*events > 0);
    }
    // Neither the spool nor the cluster lost anything: there is nothing to number anew or to give up.
    assert!(ledger.rejected.is_empty() && ledger.readopted.is_empty() && ledger.lost.is_empty());
    assert_eq!(ledger.acked.len(), ledger.promised.len());
    assert!(ledger.events() > summary["events_emitted"].as_u64().unwrap());
    judge::exactly_once(&world, std::slice::from_ref(&site));
}
