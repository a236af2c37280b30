//! What a feed does while there is nothing to read.

use wardmesh_common::event::EventKind;
use wardmesh_common::map::HashKey;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;
use wardmesh_common::wire::v1;

use super::*;

/// The counters of the health events that lie in a spool, by name.
fn reported(spool: &Spool) -> Vec<String> {
    let mut names = Vec::new();
    for (_, bytes) in spool.after(Lane::Urgent, None, 100).unwrap() {
        let frame = Frame::open(&bytes).unwrap();
        let mut scratch = Vec::new();
        let archive = frame.archive(&mut scratch).unwrap();
        let batch = v1::open(archive, frame.header.events).unwrap();
        for event in (0..batch.events.len()).filter_map(|position| batch.event(position)) {
            assert_eq!(event.kind, EventKind::Health);
            names.extend(event.counters.into_iter().map(|counter| counter.key.to_string()));
        }
    }
    names
}

fn feed(folder: &Path, lost: Lost) -> (Feed, Spool, Arc<AtomicBool>) {
    let (spool, _) = Spool::open(&folder.join("spool"), 1 << 30, 1, None).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let sensor = SensorId([1; 16]);
    (Feed::new(sensor, spool.clone(), Speed::Max, lost, Arc::clone(&stop)), spool, stop)
}

/// No file, no frame, and yet it is heard of, until it is stopped.
#[test]
fn shows_signs_of_life_while_nothing_comes() {
    let folder = tempfile::tempdir().unwrap();
    let lost = Lost { spool_bytes: 5, spool_events: 7, ..Lost::default() };
    let (feed, spool, stop) = feed(folder.path(), lost);
    let totals: Totals = Box::new(|| vec![("uplink.sessions", 1), ("uplink.failures", 0)]);
    let heartbeat = Heartbeat::new(Duration::from_millis(30), Instant::now(), totals);
    let staying = std::thread::spawn(move || feed.stay(&[], HashKey([1; 16]), heartbeat));
    let begun = Instant::now();
    while reported(&spool).len() < 6 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", reported(&spool));
        std::thread::sleep(Duration::from_millis(10));
    }
    stop.store(true, Ordering::Release);
    let fed = staying.join().unwrap().unwrap();
    let names = reported(&spool);
    let losses = ["dropped.spool.set_aside_bytes", "dropped.spool.lost_events"];
    assert_eq!(names[..2], ["uptime_seconds", "uplink.sessions"]);
    assert_eq!(names[2..4], losses);
    assert!(names[4..].iter().all(|name| name == "uptime_seconds"), "{names:?}");
    assert_eq!(fed.events, names.len() as u64 - 3);
}

#[test]
fn a_replay_does_not_wait_for_a_sign_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let (feed, spool, _stop) = feed(folder.path(), Lost::default());
    assert_eq!(feed.run(&[], HashKey([1; 16])).unwrap(), Fed::default());
    assert!(reported(&spool).is_empty());
}
