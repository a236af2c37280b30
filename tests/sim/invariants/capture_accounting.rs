//! I5: every frame that a sensor saw is in one batch that it promised to keep, or in its declared
//! losses. A power cut takes what had not been promised yet, which is little.

use std::collections::{BTreeMap, VecDeque};

use super::Invariant;
use crate::judge::Fact;

/// Frames that may be on their way into a batch when the power fails: the linger of a bulk batch, and
/// what the spool's writer has still to sync, at five frames every 20 ms.
const ON_THE_WAY_MAX: usize = 250;

/// What one run of a sensor has in hand.
#[derive(Default)]
struct Life {
    /// Frames in no batch yet.
    open: VecDeque<u64>,
    /// By what is in it, a batch's events and frames, until it is emitted.
    offered: BTreeMap<u64, (u64, usize)>,
    declared: u64,
}

impl Life {
    fn offer(&mut self, content: u64, events: u32, frames: &[u64]) -> Result<(), String> {
        for frame in frames {
            let next = self.open.pop_front();
            if next != Some(*frame) {
                return Err(format!("frame {frame} is in a batch, the next was {next:?}"));
            }
        }
        self.offered.insert(content, (events.into(), frames.len()));
        Ok(())
    }

    fn on_the_way(&self) -> usize {
        self.open.len() + self.offered.values().map(|(_, frames)| frames).sum::<usize>()
    }

    fn balance(&self) -> Result<(), String> {
        let refused: u64 = self.offered.values().map(|(events, _)| events).sum();
        if !self.open.is_empty() || refused != self.declared {
            return Err(format!(
                "{} frames are in no batch; {refused} events were not kept, declared are {}",
                self.open.len(),
                self.declared
            ));
        }
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct CaptureAccounting {
    lives: BTreeMap<u64, Life>,
}

impl CaptureAccounting {
    fn life(&mut self, sensor: u64) -> &mut Life {
        self.lives.entry(sensor).or_default()
    }
}

impl Invariant for CaptureAccounting {
    fn name(&self) -> &'static str {
        "I5 capture accounting"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Captured { sensor, number } => self.life(*sensor).open.push_back(*number),
            Fact::Offered { sensor, content, events, frames } => {
                let offered = self.life(*sensor).offer(*content, *events, frames);
                offered.map_err(|fault| format!("sensor {sensor}: {fault}"))?;
            }
            Fact::Emitted(batch) => {
                // What an earlier run had stored is emitted by the next.
                self.life(batch.sensor).offered.remove(&batch.content);
            }
            Fact::Declared { sensor, refused } => self.life(*sensor).declared = *refused,
            Fact::Down { sensor } => {
                let life = self.lives.remove(sensor).unwrap_or_default();
                // What was refused is in no batch either, and was declared.
                if life.declared == 0 && life.on_the_way() > ON_THE_WAY_MAX {
                    let lost = life.on_the_way();
                    return Err(format!("sensor {sensor} had {lost} frames on their way"));
                }
            }
            Fact::Ended(_) => {
                for (sensor, life) in &self.lives {
                    life.balance().map_err(|fault| format!("sensor {sensor}: {fault}"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn a_frame_that_is_nowhere_is_noticed() {
    use crate::judge::{Batch, Ending};
    use wardmesh_common::wire::Lane;

    let sensor = 101;
    let seen = |number| Fact::Captured { sensor, number };
    let batch = |content| Batch { sensor, place: (Lane::Bulk, 1, 1), content };
    let ending = Ending::default();
    let flood = || (0..300).map(seen);
    fn offered(content: u64, frames: &[u64]) -> Fact<'_> {
        Fact::Offered { sensor: 101, content, events: frames.len() as u32, frames }
    }
    // (what was seen) → whether that may be
    let cases: [(Vec<Fact<'_>>, bool); 7] = [
        (vec![seen(1), offered(1, &[1]), Fact::Emitted(batch(1)), Fact::Ended(&ending)], true),
        (vec![seen(1), Fact::Ended(&ending)], false),
        (vec![seen(1), seen(2), offered(1, &[2])], false),
        (vec![seen(1), offered(1, &[1]), Fact::Ended(&ending)], false),
        (
            vec![
                seen(1),
                offered(1, &[1]),
                Fact::Declared { sensor, refused: 1 },
                Fact::Ended(&ending),
            ],
            true,
        ),
        (vec![seen(1), Fact::Down { sensor }, Fact::Ended(&ending)], true),
        (flood().chain([Fact::Down { sensor }]).collect(), false),
    ];
    for (number, (facts, may_be)) in cases.iter().enumerate() {
        let mut invariant = CaptureAccounting::default();
        let verdict = facts.iter().try_for_each(|fact| invariant.see(fact));
        assert_eq!(verdict.is_ok(), *may_be, "case {number}: {verdict:?}");
    }
}
