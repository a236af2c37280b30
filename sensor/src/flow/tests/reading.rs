//! How streams ask their dissectors, and what hostile streams cost.

use super::*;

/// A connection in order that keeps its own sequence numbers.
struct Line {
    table: Table,
    sequences: [u32; 2],
}

impl Line {
    fn open() -> Self {
        let mut table = Table::new();
        table.tcp((CLIENT, SERVER), "S", 10, b"");
        table.tcp((SERVER, CLIENT), "SA", 70, b"");
        Self { table, sequences: [11, 71] }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.table.tcp((CLIENT, SERVER), "A", self.sequences[0], bytes);
        self.sequences[0] += bytes.len() as u32;
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.table.tcp((SERVER, CLIENT), "A", self.sequences[1], bytes);
        self.sequences[1] += bytes.len() as u32;
    }

    fn calls(&self) -> usize {
        self.table.toy.calls.load(Ordering::Relaxed)
    }
}

#[test]
fn one_byte_segments_do_not_ask_again_and_again() {
    let mut line = Line::open();
    for byte in toy(b'O', &"z".repeat(10_000)) {
        line.say(&[byte]);
    }
    assert_eq!(line.table.texts().len(), 1);
    assert_eq!(line.calls(), 3, "header cut, body missing, whole");
    assert_eq!(line.table.table.held_bytes(), 0);
}

#[test]
fn a_dissector_that_never_knows_is_asked_a_bounded_number_of_times() {
    let mut line = Line::open();
    let length = 100_000;
    line.say(b"TL\0\0");
    for _ in 0..length {
        line.say(b"x");
    }
    line.say(&[b'\n'; 4_000]);
    assert_eq!(line.table.texts().len(), 1);
    let scanned = line.table.toy.scanned.load(Ordering::Relaxed);
    assert!(scanned < 50 * length, "{scanned} bytes scanned for {length}");
}

#[test]
fn what_is_too_long_or_wrong_is_counted_and_left() {
    for (kind, reason) in [(b'H', "message_too_long"), (b'M', "kind"), (b'Z', "message_empty")] {
        let mut line = Line::open();
        line.say(&toy(b'O', "before"));
        line.say(&[toy(kind, "bad"), toy(b'O', "unreachable")].concat());
        line.say(b"rest of it");
        line.say(&toy(b'O', "after"));
        assert_eq!(line.table.texts(), ["before", "after"], "{reason}");
        assert_eq!(line.table.malformed(reason), 1, "{reason}");
    }
    let mut line = Line::open();
    line.say(b"TL\0\0");
    for _ in 0..300 {
        line.say(&[b'x'; 1_000]);
        assert!(line.table.table.held_bytes() < 3 * MESSAGE_BYTES_MAX);
    }
    assert_eq!(line.table.malformed("message_too_long"), 1);
    let mut line = Line::open();
    line.say(b"TO\0\x09half");
    line.table.finish();
    assert_eq!(line.table.malformed("message_unfinished"), 1);
}

#[test]
fn what_a_message_says_to_skip_is_not_held() {
    let mut line = Line::open();
    line.say(&[b'T', b'S', 0xff, 0xff]);
    for _ in 0..65 {
        line.say(&[b'T'; 1_000]);
        assert_eq!(line.table.table.held_bytes(), 0);
    }
    line.say(&[b'T'; 535]);
    line.say(&toy(b'O', "next"));
    assert_eq!((line.table.texts(), line.calls()), (vec!["next".to_owned()], 2));
}

#[test]
fn one_direction_teaches_the_other() {
    let mut line = Line::open();
    line.answer(b"T");
    line.say(&toy(b'O', "question"));
    line.answer(b"O\0\x06answer");
    assert_eq!(line.table.texts(), ["question", "answer"]);
    let mut line = Line::open();
    line.answer(b"220 a banner that nobody knows");
    line.say(&toy(b'O', "question"));
    line.answer(&toy(b'O', "answer"));
    assert_eq!(line.table.texts(), ["question", "answer"]);
}

#[test]
fn unknown_streams_are_not_held() {
    let mut line = Line::open();
    line.say(b"not a toy");
    line.say(&toy(b'O', "too late: the stream began otherwise"));
    assert_eq!((line.table.texts().len(), line.table.table.held_bytes()), (0, 0));
    let mut table = Table::new();
    for n in 0..10 {
        table.tcp((CLIENT, SERVER), "A", n * 1_000, &[b'x'; 1_000]);
    }
    table.tcp((CLIENT, SERVER), "A", 10_000, &toy(b'O', "given up"));
    assert_eq!((table.texts().len(), table.table.held_bytes()), (0, 0));
}
