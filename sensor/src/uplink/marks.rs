//! What a welcome says of the batches that the spool holds: applied, passed over, or never heard of.
//!
//! A chain hash commits to all before it: where one agrees, everything up to there was applied, and where
//! one does not, everything from there on was not. Both lanes are judged before either is acted upon,
//! since a renewed start is both lanes'.

use wardmesh_common::random;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;
use wardmesh_common::wire::message::{Mark, Welcome};

use super::session::SessionEnd;
use crate::spool::{Spool, SpoolError};

/// What becomes of a lane's batches of one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// What is held up to the watermark was applied: to be forgotten.
    Applied,
    /// The spool or the whole memory is an older image: other batches took the places of these.
    Restored {
        /// What is held up to here was applied.
        applied: u64,
        /// What is held before here may have been applied or not; nobody knows any more.
        undecided: u64,
    },
}

/// Judges what is held at or below a watermark: places and chain hashes, in order. `tail` is the last
/// place that was sealed, where this process did it.
fn judge(mark: &Mark, held: &[(u64, u64)], tail: Option<u64>) -> Judgement {
    let first_known = mark.seq.saturating_sub(mark.chains.len() as u64).saturating_add(1);
    let known = |seq: u64| {
        let at = usize::try_from(seq.checked_sub(first_known)?).ok()?;
        mark.chains.get(at).copied()
    };
    let agrees = |(seq, chain): &(u64, u64)| known(*seq).map(|known| known == *chain);
    let differs = held.iter().any(|held| agrees(held) == Some(false));
    if !differs && tail.is_none_or(|tail| tail >= mark.seq) {
        return Judgement::Applied;
    }
    match held.iter().rev().find(|held| agrees(held) == Some(true)) {
        Some((seq, _)) => Judgement::Restored { applied: *seq, undecided: 0 },
        None => Judgement::Restored { applied: 0, undecided: first_known },
    }
}

/// Forgets what the aggregator has already and buries what it passed over, before anything is sent.
///
/// # Errors
/// [`SessionEnd::Renewed`] where an image was restored: what was never applied got other numbers, and
/// the next hello says so.
pub(super) fn take(spool: &Spool, welcomes: [(Lane, &Welcome); 2]) -> Result<(), SessionEnd> {
    let current = spool.epochs().current;
    let mut judged = Vec::new();
    for (lane, welcome) in welcomes {
        let tail = spool.tail(lane);
        for mark in welcome.watermarks.iter().filter(|mark| mark.seq > 0) {
            let tail = (mark.epoch == current).then_some(tail);
            let held = held(spool, lane, mark)?;
            judged.push((lane, mark, judge(mark, &held, tail), held));
        }
    }
    let mut restored = false;
    for (lane, mark, judgement, held) in judged {
        let (applied, undecided) = match judgement {
            Judgement::Applied => (mark.seq, None),
            Judgement::Restored { applied, undecided } => (applied, Some(undecided)),
        };
        bury_skipped(spool, lane, mark, &held, applied);
        if applied > 0 {
            spool.acked(lane, mark.epoch, applied);
        }
        if let Some(undecided) = undecided {
            tracing::warn!(%lane, applied, undecided, "the spool is an older image: a new epoch");
            spool.readopt(lane, mark.epoch, random::u64(), undecided);
            restored = true;
        }
    }
    if restored {
        return Err(SessionEnd::Renewed("the spool was restored from an image"));
    }
    Ok(())
}

/// The batches that are held within the reach of the mark's chain hashes, and the one before.
fn held(spool: &Spool, lane: Lane, mark: &Mark) -> Result<Vec<(u64, u64)>, SpoolError> {
    let reach = mark.chains.len() as u64;
    let mut held = Vec::new();
    for seq in mark.seq.saturating_sub(reach)..=mark.seq {
        if let Some(bytes) = spool.held(lane, mark.epoch, seq)?
            && let Ok(frame) = Frame::open(&bytes)
        {
            held.push((seq, frame.header.chain));
        }
    }
    Ok(held)
}

/// What was passed over is lost there: to the dead letters, not among what was acknowledged.
fn bury_skipped(spool: &Spool, lane: Lane, mark: &Mark, held: &[(u64, u64)], applied: u64) {
    for (seq, _) in held.iter().filter(|(seq, _)| *seq <= applied) {
        let back = mark.seq - seq;
        if back < u64::from(u32::BITS)
            && mark.skipped >> back & 1 == 1
            && let Some(position) = spool.position(lane, mark.epoch, *seq)
        {
            spool.dead(lane, position, "passed-over");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The watermark 100 with the chain hashes of the places 97 to 100, each ten times its place.
    fn mark() -> Mark {
        Mark { epoch: 7, seq: 100, chains: vec![970, 980, 990, 1_000], skipped: 0 }
    }

    /// What is held, (seq, chain); where the lane ends, if it goes on; what that comes to.
    type Case = (&'static [(u64, u64)], Option<u64>, Judgement);

    #[test]
    fn each_batch_is_applied_or_not_by_its_chain() {
        use Judgement::{Applied, Restored};
        let undecided = Restored { applied: 0, undecided: 97 };
        let upto = |applied| Restored { applied, undecided: 0 };
        let cases: [Case; 12] = [
            (&[], None, Applied),
            (&[], Some(100), Applied),
            (&[(98, 980), (99, 990), (100, 1_000)], Some(120), Applied),
            (&[(98, 980)], None, Applied),
            // An older disk under a new start: what it holds is of the past.
            (&[(40, 5), (41, 6)], None, Applied),
            // The memory of the current start was set back.
            (&[], Some(60), undecided),
            (&[(40, 5)], Some(60), undecided),
            (&[(98, 980), (99, 990)], Some(99), upto(99)),
            (&[(98, 980), (99, 991), (100, 1)], Some(130), upto(98)),
            (&[(97, 1), (98, 2), (99, 3), (100, 4)], Some(130), undecided),
            // The same in a start that ended since.
            (&[(98, 980), (99, 991)], None, upto(98)),
            (&[(98, 1)], None, undecided),
        ];
        for (held, tail, expected) in cases {
            assert_eq!(judge(&mark(), held, tail), expected, "{held:?} {tail:?}");
        }
        let young = Mark { seq: 2, chains: vec![1, 2], ..mark() };
        let all = Restored { applied: 0, undecided: 1 };
        assert_eq!(judge(&young, &[(1, 9)], Some(3)), all, "nothing lies before the first");
    }
}
