//! What is joined, in which order, and when there is no more room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wardmesh_common::id::SensorId;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{self, Schema, Seal};

use super::join::{join, refuse, submissions};
use super::*;

fn batch(number: u8, length: usize) -> Submission {
    let mut frame = vec![0; length];
    frame[0] = number;
    Submission { sensor: SensorId([number; 16]), clock_offset: 0, frame: frame.into() }
}

/// The first bytes of the batches of each command that `lengths` are joined into.
async fn joined(lengths: &[usize]) -> Vec<Vec<u8>> {
    let (queue, mut far) = Queue::new();
    for (number, length) in lengths.iter().enumerate() {
        drop(queue.put(batch(number as u8, *length)).unwrap());
    }
    let mut commands = Vec::new();
    while let Ok(first) = far.try_recv() {
        let command = join(first, &mut far, Duration::ZERO).await;
        commands.push(submissions(&command).iter().map(|one| one.frame[0]).collect());
        refuse(command, &Unavailable::no_leader());
    }
    assert_eq!(queue.filled(), 0, "answered batches leave the queue");
    commands
}

#[tokio::test]
async fn joins_what_waits_in_its_order() {
    let kib = 1024;
    assert_eq!(joined(&[1, 1, 1]).await, [vec![0, 1, 2]]);
    assert_eq!(joined(&[300 * kib, 1]).await, [vec![0], vec![1]]);
    let frames = [100 * kib; 7];
    assert_eq!(joined(&frames).await, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    let many = joined(&[1; 150]).await;
    assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 22]);
    assert_eq!(joined(&[]).await, Vec::<Vec<u8>>::new());
}

/// Frames that expand far: what bounds a command is what it costs to apply.
#[tokio::test]
async fn what_a_command_costs_to_apply_is_bounded() {
    let archive = vec![0; 100 * 1024];
    let seal = |events| Seal {
        schema: Schema::Batch,
        lane: Lane::Bulk,
        events,
        epoch: 1,
        seq: 1,
        sealed_at: Timestamp::EPOCH,
        previous_chain: 0,
    };
    for (events, length, most) in [(512, 200, 8), (1, 200, 64), (1, 100 * 1024, 11), (700, 200, 6)]
    {
        let frame = frame::seal(&seal(events), &archive[..length], true);
        assert!(frame.len() < 1_000);
        let (queue, mut far) = Queue::new();
        for number in 0..100 {
            let sensor = SensorId([number; 16]);
            let submission = Submission { sensor, clock_offset: 0, frame: frame.clone() };
            drop(queue.put(submission).unwrap());
        }
        let first = far.try_recv().unwrap();
        let command = join(first, &mut far, Duration::ZERO).await;
        assert_eq!(command.len(), most, "{events} {length}");
    }
}

#[tokio::test]
async fn a_small_command_lingers_for_company() {
    let (queue, mut far) = Queue::new();
    let first = queue.put(batch(1, 1)).unwrap();
    let waiting = far.recv().await.unwrap();
    let company = async {
        tokio::task::yield_now().await;
        Some(queue.put(batch(2, 1)).unwrap())
    };
    let (command, second) =
        tokio::join!(join(waiting, &mut far, Duration::from_millis(200)), company);
    let second = second.unwrap();
    assert_eq!(command.len(), 2);
    refuse(command, &Unavailable::no_leader());
    assert_eq!(first.await, Ok(Err(Unavailable::no_leader())));
    assert_eq!(second.await, Ok(Err(Unavailable::no_leader())));
}

#[test]
fn a_full_queue_says_so_and_counts_it() {
    let (queue, mut far) = Queue::new();
    let large = QUEUE_LENGTH_MAX / 2 - SUBMISSION_OVERHEAD;
    drop((queue.put(batch(1, large)).unwrap(), queue.put(batch(2, large)).unwrap()));
    let refused = queue.put(batch(3, 1)).map(drop);
    assert_eq!(refused, Err(Unavailable::Overloaded { retry_after: RETRY_AFTER_OVERLOAD }));
    assert_eq!((queue.refused(), queue.filled()), (1, QUEUE_LENGTH_MAX));
    drop(far.try_recv().unwrap());
    assert!(queue.put(batch(3, 1)).is_ok());
}
