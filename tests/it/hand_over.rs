//! Leadership goes from node to node, on request and with the end of a process: writes are not refused,
//! and none waits for long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use wardmesh_cli::api::Client;

use crate::harness::{NODES, World, wait_until};

/// How many times leadership is handed over.
const ROUNDS: usize = 6;

/// The promise is 250 ms, which `failover` of the benches measures; here a busy machine must not fail
/// the test, only a cluster that hangs.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// What became of the writes of one who writes all the time.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    /// How long the slowest took, until it was taken.
    slowest: Duration,
    refused: usize,
}

impl Written {
    fn and(self, other: Self) -> Self {
        Self { slowest: self.slowest.max(other.slowest), refused: self.refused + other.refused }
    }

    /// On a busy machine a hand-over may come too late, and one write of several meets the election:
    /// one that refuses what all of them write is none.
    #[track_caller]
    fn hold(self, hand_overs: usize) {
        eprintln!("during {hand_overs} hand-overs: {self:?}");
        assert!(self.slowest < SILENCE_MAX && self.refused <= hand_overs, "{self:?}");
    }
}

/// Writes until it is told to stop; what is refused is written again.
fn write(client: &Client, name: &str, stop: &AtomicBool) -> Written {
    let (mut written, mut number) = (Written::default(), 0);
    while !stop.load(Ordering::Acquire) {
        let begun = Instant::now();
        let site = json!({ "site": name, "title": format!("number {number}") });
        while let Err(cause) = client.post("/api/v1/sites", &site) {
            eprintln!("{name}: a write was refused after {:?}: {cause}", begun.elapsed());
            written.refused += 1;
            assert!(begun.elapsed() < SILENCE_MAX, "{cause}");
        }
        written.slowest = written.slowest.max(begun.elapsed());
        number += 1;
    }
    written
}

fn all(writers: Vec<ScopedJoinHandle<'_, Written>>) -> Written {
    writers.into_iter().fold(Written::default(), |sum, writer| sum.and(writer.join().unwrap()))
}

/// Has another node lead, asking the one that is `asked` places after the leader.
fn hand_over(world: &World, asked: usize) {
    wait_until("another node leads on request", || {
        let leader = world.leader();
        let client = world.mesh.nodes()[(leader + asked) % NODES].client();
        // A busy machine may not have done it in time.
        let Ok(next) = client.post("/api/v1/cluster/transfer-leader", &json!({})) else {
            return false;
        };
        assert_eq!(next["role"], "leader");
        next["id"] != world.mesh.nodes()[leader].id
    });
}

#[test]
fn a_hand_over_is_not_noticed_by_who_writes() {
    let mut world = World::found();
    let stop = AtomicBool::new(false);
    let clients: Vec<_> = world.mesh.nodes().iter().map(|node| node.client()).collect();
    let written = std::thread::scope(|scope| {
        let write = |place: usize| {
            let (stop, client) = (&stop, &clients[place]);
            scope.spawn(move || write(client, &format!("site-{place}"), stop))
        };
        let writers: Vec<_> = (0..NODES).map(write).collect();
        for round in 0..ROUNDS {
            hand_over(&world, round);
            std::thread::sleep(Duration::from_millis(300));
        }
        stop.store(true, Ordering::Release);
        all(writers)
    });
    written.hold(ROUNDS);

    // The leader's process ends in order; writers on the others do not notice.
    let leader = world.leader();
    let others: Vec<_> = (0..NODES).filter(|place| *place != leader).collect();
    stop.store(false, Ordering::Release);
    let written = std::thread::scope(|scope| {
        let write = |place: &usize| {
            let (stop, client, name) = (&stop, &clients[*place], format!("site-{place}"));
            scope.spawn(move || write(client, &name, stop))
        };
        let writers: Vec<_> = others.iter().map(write).collect();
        std::thread::sleep(Duration::from_millis(300));
        world.mesh.stop_node(leader).unwrap();
        wait_until("another node leads", || world.leader() != leader);
        stop.store(true, Ordering::Release);
        all(writers)
    });
    written.hold(1);
    world.start(leader);
    world.settle();
}
