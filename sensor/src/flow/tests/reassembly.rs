//! Segments in any order, by table and by property.

use super::*;

/// Segments as (flags, offset from the initial sequence number, bytes, bytes on the wire).
type Script<'a> = &'a [(&'a str, i64, &'a [u8], usize)];

const TWO: &[u8] = b"TO\0\x03oneTO\0\x03two";

/// Sends the script from a client to a server and compares the messages and the gaps.
#[track_caller]
fn check(name: &str, initial: u32, script: Script<'_>, texts: &[&str], gaps: u64) {
    let mut table = Table::new();
    for (marks, offset, bytes, length) in script {
        let sequence = initial.wrapping_add(*offset as u32);
        table.tcp_cut((CLIENT, SERVER), marks, sequence, bytes, *length);
    }
    table.finish();
    assert_eq!(table.texts(), texts, "{name}");
    assert_eq!(table.dropped("tcp.gap"), gaps, "{name}");
}

#[test]
fn puts_segments_in_order() {
    let both = &["one", "two"];
    let t = TWO;
    for initial in [0, 1_000, u32::MAX - 3, u32::MAX, i32::MAX as u32] {
        let check = |name, script: Script<'_>, texts: &[&str], gaps| {
            check(name, initial, script, texts, gaps);
        };
        check("in order", &[("S", 0, b"", 0), ("A", 1, t, 14)], both, 0);
        check("syn with data", &[("S", 0, &t[..5], 5), ("A", 6, &t[5..], 9)], both, 0);
        check("no syn", &[("A", 1, &t[..9], 9), ("A", 10, &t[9..], 5)], both, 0);
        let swapped: Script<'_> =
            &[("S", 0, b"", 0), ("A", 8, &t[7..], 7), ("A", 3, &t[2..7], 5), ("A", 1, &t[..2], 2)];
        check("reordered", swapped, both, 0);
        let again: Script<'_> = &[
            ("S", 0, b"", 0),
            ("S", 0, b"", 0),
            ("A", 1, t, 14),
            ("A", 1, t, 14),
            ("A", 3, &t[2..4], 2),
        ];
        check("retransmitted", again, both, 0);
        let early: Script<'_> =
            &[("S", 0, b"", 0), ("FA", 15, b"", 0), ("A", 8, &t[7..], 7), ("A", 1, &t[..7], 7)];
        check("fin before data", early, both, 0);
        let alive: Script<'_> = &[
            ("S", 0, b"", 0),
            ("A", 1, &t[..7], 7),
            ("A", 7, b"\0", 1),
            ("A", 7, b"", 0),
            ("A", 8, &t[7..], 7),
        ];
        check("keep-alive", alive, both, 0);
        check("middle of a message", &[("A", 3, &t[2..7], 5), ("A", 8, &t[7..], 7)], &["two"], 0);
        let reset: Script<'_> =
            &[("S", 0, b"", 0), ("A", 1, &t[..7], 7), ("R", 8, b"TO\0\x01x", 5)];
        check("text of a reset", reset, &["one"], 0);
    }
}

#[test]
fn passes_over_what_is_missing() {
    let t = TWO;
    let hole: Script<'_> = &[("S", 0, b"", 0), ("A", 1, &t[..4], 4), ("A", 8, &t[7..], 7)];
    check("hole", 5, hole, &["two"], 1);
    let cut: Script<'_> = &[("S", 0, b"", 0), ("A", 1, &t[..5], 7), ("A", 8, &t[7..], 7)];
    check("cut by the capture", 5, cut, &["two"], 1);
    let cut_late: Script<'_> = &[("S", 0, b"", 0), ("A", 8, &t[7..], 7), ("A", 1, &t[..5], 7)];
    check("cut and reordered", 5, cut_late, &["two"], 1);
    let first: Script<'_> = &[("S", 0, b"", 0), ("A", 8, &t[7..], 7)];
    check("first bytes missing", 5, first, &["two"], 1);
    let skipped = toy(b'S', &"x".repeat(100));
    let in_skip: Script<'_> = &[
        ("S", 0, b"", 0),
        ("A", 1, &skipped[..10], 10),
        ("A", 95, &skipped[94..], 10),
        ("A", 105, t, 14),
    ];
    check("hole in what is skipped", 5, in_skip, &["one", "two"], 1);
}

#[test]
fn the_first_copy_of_a_byte_wins() {
    let before: Script<'_> =
        &[("S", 0, b"", 0), ("A", 3, b"\0\x03abc", 5), ("A", 1, b"TO\0\x03ABCTO\0\x01z", 12)];
    check("waiting one came first", 9, before, &["abc", "z"], 0);
    let after: Script<'_> = &[("S", 0, b"", 0), ("A", 1, b"TO\0\x03ab", 6), ("A", 5, b"XYc", 3)];
    check("delivered one came first", 9, after, &["abc"], 0);
    let islands: Script<'_> = &[
        ("S", 0, b"", 0),
        ("A", 7, b"c", 1),
        ("A", 5, b"a", 1),
        ("A", 4, b"\x05XbXde", 6),
        ("A", 1, b"TO\0", 3),
    ];
    check("between islands", 9, islands, &["abcde"], 0);
    let equal: Script<'_> =
        &[("S", 0, b"", 0), ("A", 5, b"a", 1), ("A", 5, b"Xb", 2), ("A", 1, b"TO\0\x02", 4)];
    check("same beginning", 9, equal, &["ab"], 0);
}

#[test]
fn any_segmentation_gives_the_same_messages() {
    for seed in 0..300 {
        let mut numbers = Numbers::new(seed);
        let count = 1 + numbers.below(30);
        let texts: Vec<String> =
            (0..count).map(|n| format!("{n}-{}", "y".repeat(numbers.below(200)))).collect();
        let stream: Vec<u8> = texts.iter().flat_map(|text| toy(b'O', text)).collect();
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < stream.len() {
            let length = (1 + numbers.below(90)).min(stream.len() - at);
            pieces.push((at, at + length));
            if numbers.below(4) == 0 {
                let from = at.saturating_sub(numbers.below(40));
                pieces.push((from, (at + length + numbers.below(40)).min(stream.len())));
            }
            at += length;
        }
        for place in 0..pieces.len() {
            let other = (place + numbers.below(8)).min(pieces.len() - 1);
            pieces.swap(place, other);
        }
        let initial = u32::MAX - numbers.below(stream.len()) as u32;
        let mut table = Table::new();
        table.tcp((CLIENT, SERVER), "S", initial.wrapping_sub(1), b"");
        for (from, to) in pieces {
            let sequence = initial.wrapping_add(from as u32);
            table.tcp((CLIENT, SERVER), "A", sequence, &stream[from..to]);
        }
        assert_eq!(table.texts(), texts, "seed {seed}");
        assert_eq!(table.dropped("tcp.gap"), 0, "seed {seed}");
        table.tcp((CLIENT, SERVER), "FA", initial.wrapping_add(stream.len() as u32), b"");
        table.finish();
        assert_eq!(table.table.held_bytes(), 0, "seed {seed}");
    }
}

#[test]
fn a_hole_is_waited_for_within_limits() {
    let mut table = Table::new();
    table.tcp((CLIENT, SERVER), "S", 0, b"");
    table.tcp((CLIENT, SERVER), "A", 2, &toy(b'O', "lost"));
    for n in 0..OUT_OF_ORDER_SEGMENTS_MAX as u32 {
        assert_eq!(table.dropped("tcp.gap"), 0, "segment {n}");
        table.tcp((CLIENT, SERVER), "A", 100 + 8 * n, &toy(b'O', "tiny"));
    }
    assert!(table.dropped("tcp.gap") > 0);

    let mut table = Table::new();
    table.tcp((CLIENT, SERVER), "S", 0, b"");
    for n in 0..1_000 {
        table.tcp((CLIENT, SERVER), "A", 2 + 60_000 * n, &[b'x'; 60_000]);
        assert!(table.table.held_bytes() <= OUT_OF_ORDER_BYTES_MAX + 61_000);
    }

    let mut table = Table::new();
    table.tcp((CLIENT, SERVER), "S", 0, b"");
    table.tcp((CLIENT, SERVER), "A", 2, &toy(b'O', "a"));
    table.wait(GAP_WAIT_MAX.as_secs() + 1);
    table.tcp((CLIENT, SERVER), "A", 7, &toy(b'O', "b"));
    assert_eq!(table.texts(), ["a", "b"]);
}

#[test]
fn loss_costs_only_the_messages_that_it_hits() {
    for seed in 0..200 {
        let mut numbers = Numbers::new(seed);
        let texts: Vec<String> =
            (0..40).map(|n| format!("{n}-{}", "y".repeat(numbers.below(300)))).collect();
        let mut table = Table::new();
        table.tcp((CLIENT, SERVER), "S", 0, b"");
        let (mut sequence, mut whole, mut lost) = (1, Vec::new(), false);
        for text in &texts {
            // Each message begins a segment, as senders write them.
            let mut kept = true;
            for segment in toy(b'O', text).chunks(100) {
                if numbers.below(8) == 0 {
                    (kept, lost) = (false, true);
                } else {
                    table.tcp((CLIENT, SERVER), "A", sequence, segment);
                }
                sequence += segment.len() as u32;
            }
            whole.extend(kept.then(|| text.clone()));
        }
        table.finish();
        assert!(lost, "seed {seed}");
        assert_eq!(table.texts(), whole, "seed {seed}");
    }
}
