//! Holds what the nodes have against what a sensor promised. Pure: values in, breaches out.

use std::collections::BTreeMap;

use crate::book::{Book, Spot};
use crate::breach::{Breach, Invariant};

/// Breaches that are told one by one of one sensor at one node; the rest is a number.
const TOLD_MAX: usize = 3;

/// What one node has of one sensor, found by reading its events in their order.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The node, for messages.
    pub node: usize,
    /// The log index from which on the node says to have everything; 0 or 1 is from the beginning.
    pub history_from: u64,
    /// Each batch that is there: how many of its events, and the log index.
    pub batches: BTreeMap<Spot, Seen>,
    /// Events that were there already.
    pub doubled: Vec<String>,
    /// What was out of order, or has a hole.
    pub disordered: Vec<String>,
    last: BTreeMap<(wardmesh_common::wire::Lane, u64), u64>,
}

/// A batch at a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Events of it.
    pub events: u64,
    /// Where it stands in the log.
    pub index: u64,
}

impl Held {
    /// Nothing read yet.
    #[must_use]
    pub fn at(node: usize) -> Self {
        Self { node, ..Self::default() }
    }

    /// The next event.
    pub fn add(&mut self, spot: Spot, position: u64, index: u64) {
        let (lane, epoch, seq) = spot;
        if !self.batches.contains_key(&spot) {
            let last = self.last.insert((lane, epoch), seq);
            if last.is_some_and(|last| last > seq) {
                self.disordered.push(format!("{spot:?} after {last:?}"));
            }
        }
        let seen = self.batches.entry(spot).or_insert(Seen { events: 0, index });
        if position < seen.events || seen.index != index {
            let what = format!("{spot:?} position {position} at index {index} and {}", seen.index);
            self.doubled.push(what);
            return;
        }
        if position > seen.events {
            self.disordered.push(format!("{spot:?} jumps from {} to {position}", seen.events));
        }
        seen.events = position + 1;
    }
}

/// What is wrong with what the nodes have of one sensor.
#[must_use]
pub fn judge(name: &str, book: &Book, nodes: &[Held]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let gave_up = format!("{name} gave up");
    breaches.extend(told(Invariant::Undelivered, &gave_up, &given_up(book)));
    for held in nodes {
        let at = format!("{name} at node {}", held.node + 1);
        let mut told = |invariant, all: Vec<String>| breaches.extend(told(invariant, &at, &all));
        let (lost, undelivered) = missing(book, held, nodes);
        told(Invariant::Lost, lost);
        told(Invariant::Undelivered, undelivered);
        told(Invariant::Doubled, held.doubled.clone());
        told(Invariant::Doubled, under_both_numbers(book, held));
        told(Invariant::Disorder, held.disordered.clone());
        let strange = held.batches.iter().filter_map(|(spot, seen)| match book.batches.get(spot) {
            None => Some(format!("{spot:?} with {} events", seen.events)),
            Some(known) if known.events < seen.events => {
                Some(format!("{spot:?} has {} events instead of {}", seen.events, known.events))
            }
            Some(_) => None,
        });
        told(Invariant::Phantom, strange.collect());
    }
    breaches
}

/// One breach of all that is wrong in the same way; none where nothing is.
fn told(invariant: Invariant, of: &str, all: &[String]) -> Option<Breach> {
    let first = all.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = match all.len().saturating_sub(TOLD_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!all.is_empty()).then(|| Breach { invariant, what: format!("{of}: {first}{more}") })
}

/// Batches that were acknowledged and are not whole at a node, and such that were only promised.
fn missing(book: &Book, held: &Held, nodes: &[Held]) -> (Vec<String>, Vec<String>) {
    let (mut lost, mut undelivered) = (Vec::new(), Vec::new());
    for (spot, batch) in &book.batches {
        let there = held.batches.get(spot).map_or(0, |seen| seen.events);
        // What lies before a node's history is another node's to show.
        let elsewhere =
            nodes.iter().filter_map(|node| node.batches.get(spot)).map(|s| s.index).min();
        let before = elsewhere.is_some_and(|index| index < held.history_from);
        if there >= batch.events || before {
            continue;
        }
        let what = format!("{spot:?} has {there} of {} events", batch.events);
        if batch.acked {
            lost.push(what);
        } else if batch.is_open() {
            undelivered.push(what);
        }
    }
    (lost, undelivered)
}

/// What a ledger says itself to be given up, though nothing was done that excuses it.
fn given_up(book: &Book) -> Vec<String> {
    let given_up = book.batches.iter().filter(|(_, batch)| batch.given_up && !book.excused);
    given_up.map(|(spot, batch)| format!("{spot:?} of {} events", batch.events)).collect()
}

/// What is at a node under a number that the ledger says to be another now: its events are there under
/// both.
fn under_both_numbers(book: &Book, held: &Held) -> Vec<String> {
    let there = |spot| held.batches.contains_key(spot);
    let both = book
        .batches
        .iter()
        .filter(|(spot, batch)| batch.readopted && !book.excused && there(*spot));
    both.map(|(spot, _)| format!("{spot:?} was numbered anew and is there")).collect()
}

#[cfg(test)]
mod tests {
    use wardmesh_common::wire::Lane;

    use super::*;

    const LANE: Lane = Lane::Bulk;

    /// A control store: keeps batches of two events, and is wrong in one way or in none.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Store {
        Sound,
        LosesAcked,
        LosesHalf,
        LosesEmitted,
        Doubles,
        DoublesLater,
        Invents,
        InventsEvents,
        Swaps,
    }

    fn book() -> Book {
        let mut book = Book::default();
        for seq in 1..=6 {
            book.note((LANE, 9, seq), 2, "emitted");
            if seq < 6 {
                book.note((LANE, 9, seq), 2, "acked");
            }
        }
        book
    }

    fn held(store: Store, node: usize) -> Held {
        let mut held = Held::at(node);
        let mut order = vec![1, 2, 3, 4, 5, 6];
        if store == Store::Swaps {
            order.swap(2, 3);
        }
        for (at, seq) in order.into_iter().enumerate() {
            let spot = (LANE, 9, seq);
            let index = 10 + at as u64;
            let skip = match store {
                Store::LosesAcked => seq == 3,
                Store::LosesEmitted => seq == 6,
                _ => false,
            };
            if skip {
                continue;
            }
            held.add(spot, 0, index);
            if store != Store::LosesHalf || seq != 5 {
                held.add(spot, 1, index);
            }
            if store == Store::Doubles && seq == 2 {
                held.add(spot, 1, index);
            }
            if store == Store::InventsEvents && seq == 2 {
                held.add(spot, 2, index);
            }
        }
        match store {
            Store::DoublesLater => held.add((LANE, 9, 1), 0, 40),
            Store::Invents => held.add((LANE, 8, 1), 0, 40),
            _ => {}
        }
        held
    }

    #[test]
    fn the_sound_store_passes_and_each_other_fails_for_its_reason() {
        for (store, expect) in [
            (Store::Sound, None),
            (Store::LosesAcked, Some(Invariant::Lost)),
            (Store::LosesHalf, Some(Invariant::Lost)),
            (Store::LosesEmitted, Some(Invariant::Undelivered)),
            (Store::Doubles, Some(Invariant::Doubled)),
            (Store::DoublesLater, Some(Invariant::Doubled)),
            (Store::Invents, Some(Invariant::Phantom)),
            (Store::InventsEvents, Some(Invariant::Phantom)),
            (Store::Swaps, Some(Invariant::Disorder)),
        ] {
            let nodes = [held(Store::Sound, 0), held(store, 1), held(Store::Sound, 2)];
            let breaches = judge("s", &book(), &nodes);
            let found: Vec<_> = breaches.iter().map(|breach| breach.invariant).collect();
            assert_eq!(found, Vec::from_iter(expect), "{store:?}: {breaches:?}");
        }
    }

    #[test]
    fn what_a_ledger_says_of_itself_is_believed_only_with_an_excuse() {
        for (state, is_there, expect) in [
            ("readopted", false, vec![]),
            ("readopted", true, vec![Invariant::Doubled]),
            ("lost", false, vec![Invariant::Undelivered]),
            ("lost", true, vec![Invariant::Undelivered]),
            ("rejected", false, vec![Invariant::Undelivered]),
        ] {
            let mut book = book();
            book.note((LANE, 9, 6), 2, state);
            let store = if is_there { Store::Sound } else { Store::LosesEmitted };
            let nodes = [held(store, 0)];
            let breaches = judge("s", &book, &nodes);
            let found: Vec<_> = breaches.iter().map(|breach| breach.invariant).collect();
            assert_eq!(found, expect, "{state}: {breaches:?}");
            book.excused = true;
            assert_eq!(judge("s", &book, &nodes), [], "{state}");
        }
    }

    #[test]
    fn a_short_history_is_excused_only_where_another_node_has_more() {
        let mut late = held(Store::Sound, 1);
        late.history_from = 12;
        late.batches.retain(|_, seen| seen.index >= 12);
        let whole = held(Store::Sound, 0);
        assert_eq!(judge("s", &book(), &[whole, late.clone()]), []);
        let lost = judge("s", &book(), std::slice::from_ref(&late));
        assert_eq!(lost[0].invariant, Invariant::Lost);
        late.batches.retain(|_, seen| seen.index != 13);
        let both = [held(Store::Sound, 0), late];
        assert_eq!(judge("s", &book(), &both)[0].invariant, Invariant::Lost);
    }
}
