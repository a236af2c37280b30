//! Flow records, their timeouts and limits.

use super::*;

/// Pushes the first packet of a flow.
type Begin = fn(&mut Table);

#[track_caller]
fn counts(event: &Event) -> [u64; 5] {
    ["packets", "bytes", "peer_packets", "peer_bytes", "duration_ms"]
        .map(|key| event.count(key).unwrap())
}

#[test]
fn a_flow_reports_both_sides_by_interval() {
    let mut table = Table::new();
    let began = table.now;
    table.tcp((CLIENT, SERVER), "S", 0, b"");
    table.wait(1);
    table.tcp((SERVER, CLIENT), "SA", 0, b"");
    table.tcp((CLIENT, SERVER), "A", 1, &toy(b'O', "hi"));
    table.wait(59);
    table.udp((7, 5_000), (8, 5_001), b"another flow moves the clock");
    let [flow] = table.flows()[..] else { panic!("one flow event") };
    assert_eq!(counts(flow), [2, 54 + 60, 1, 54, 1_000]);
    assert_eq!(
        (flow.observed_at, flow.device.ip, flow.device.mac),
        (began, Some(address(1)), Some(mac(1)))
    );
    let (peer, service) = (flow.peer.unwrap(), flow.service.clone().unwrap());
    assert_eq!((peer.ip, peer.port, peer.mac), (Some(address(2)), Some(104), Some(mac(2))));
    assert_eq!((service.port, service.protocol.as_deref()), (Some(104), Some("toy")));
    table.tcp((SERVER, CLIENT), "A", 1, b"x");
    table.finish();
    let flows = table.flows();
    assert_eq!(counts(flows[1]), [0, 0, 1, 55, 0]);
    assert_eq!((flows.len(), flows[2].device.ip), (3, Some(address(7))));
}

#[test]
fn silence_ends_a_flow_once() {
    let mut table = Table::new();
    table.tcp((CLIENT, SERVER), "S", 0, b"");
    table.udp((7, 5_000), (8, 5_001), b"x");
    for (seconds, flows) in [(59, 2), (2, 1), (238, 1), (2, 0)] {
        table.wait(seconds);
        let now = table.now;
        table.table.expire(now, &mut Sink { events: &mut table.events, tally: &mut table.tally });
        assert_eq!(table.table.flows(), flows, "{seconds}");
    }
    assert_eq!(table.flows().len(), 2);
}

#[test]
fn a_closed_connection_lingers_and_ports_are_used_again() {
    let mut table = Table::new();
    table.tcp((CLIENT, SERVER), "S", 0, b"");
    table.tcp((CLIENT, SERVER), "FA", 1, b"");
    table.tcp((SERVER, CLIENT), "FA", 9, b"");
    table.wait(4);
    table.tcp((CLIENT, SERVER), "A", 2, b"");
    assert_eq!((table.table.flows(), table.flows().len()), (1, 0));
    table.tcp((CLIENT, SERVER), "S", 900, b"");
    table.tcp((CLIENT, SERVER), "A", 901, &toy(b'O', "again"));
    assert_eq!((table.table.flows(), table.flows().len()), (1, 1));
    assert_eq!(table.texts(), ["again"]);
    table.tcp((SERVER, CLIENT), "R", 10, b"");
    table.wait(6);
    table.udp((7, 5_000), (8, 5_001), b"x");
    assert_eq!((table.table.flows(), table.flows().len()), (1, 2));
}

#[test]
fn the_originator_is_told_from_flags_and_ports() {
    let originator = |begin: Begin| {
        let mut table = Table::new();
        begin(&mut table);
        table.finish();
        table.flows()[0].device.ip
    };
    let cases: [(Begin, u8); 6] = [
        (|t| t.tcp((SERVER, CLIENT), "S", 0, b""), 2),
        (|t| t.tcp((SERVER, CLIENT), "SA", 0, b""), 1),
        (|t| t.tcp((SERVER, CLIENT), "A", 0, b"x"), 1),
        (|t| t.tcp((CLIENT, SERVER), "A", 0, b"x"), 1),
        (|t| t.udp((2, 53), (1, 50_000), b"x"), 1),
        (|t| t.udp((1, 68), (2, 67), b"x"), 1),
    ];
    for (case, (begin, host)) in cases.into_iter().enumerate() {
        assert_eq!(originator(begin), Some(address(host)), "case {case}");
    }
}

#[test]
fn a_flood_of_flows_stays_within_the_limits() {
    let limits = Limits { flows_max: 100, held_bytes_max: 100_000 };
    let mut table = Table::with(limits);
    for n in 0..5_000_u16 {
        let client = ((n % 200) as u8, 1_024 + n);
        table.tcp((client, SERVER), "S", 0, b"");
        table.tcp((client, SERVER), "A", 1, &[b"TO\xff\xff".as_slice(), &[b'x'; 3_000]].concat());
        assert!(table.table.flows() <= limits.flows_max);
        assert!(table.table.held_bytes() <= limits.held_bytes_max);
    }
    assert!(table.dropped("flow.evicted") > 4_800);
    table.finish();
    assert_eq!(table.flows().len(), 5_000, "each flow is reported once");
    assert_eq!((table.table.flows(), table.table.held_bytes()), (0, 0));
}

#[test]
fn a_datagram_is_read_at_once_by_the_first_that_knows_it() {
    let mut table = Table::new();
    table.udp((1, 50_000), (2, 53), &toy(b'O', "asked"));
    table.udp((2, 53), (1, 50_000), &toy(b'O', "answered"));
    table.udp((1, 50_000), (2, 53), b"TO\0\x09cut");
    assert_eq!(table.texts(), ["asked", "answered"]);
    assert_eq!(table.malformed("message_cut_short"), 1);
    let answer = &table.events[1];
    assert_eq!((answer.device.ip, answer.peer.unwrap().port), (Some(address(2)), Some(50_000)));
    assert_eq!(answer.service.clone().unwrap().port, Some(53));
}

#[test]
fn another_key_or_run_changes_nothing() {
    let run = |key| {
        let mut table = Table::with(Limits { flows_max: 50, held_bytes_max: 100_000 });
        table.table = FlowTable::new(
            table.toy.dissectors(),
            key,
            Limits { flows_max: 50, held_bytes_max: 100_000 },
        );
        let mut numbers = Numbers::new(1);
        for _ in 0..3_000 {
            let client = (numbers.below(90) as u8, 1_024);
            table.wait(numbers.below(3) as u64);
            table.udp(client, SERVER, &toy(b'O', "x"));
            table.tcp((client, SERVER), "A", numbers.below(200) as u32, &toy(b'O', "y"));
        }
        table.finish();
        table.events
    };
    let events = run(KEY);
    assert!(events.len() > 3_000);
    assert_eq!(events, run(HashKey([200; 16])));
}

#[test]
fn a_flow_costs_what_the_limits_say() {
    let size = size_of::<Flow>() + size_of::<connection::Connection>();
    assert!(size <= 600, "{size} bytes and its key and timer");
}

#[test]
fn hostile_packets_are_all_counted_and_none_is_held_for_ever() {
    let limits = Limits { flows_max: 40, held_bytes_max: 200_000 };
    for seed in 0..20 {
        let (mut table, mut numbers) = (Table::with(limits), Numbers::new(seed));
        let count = 4_000;
        for _ in 0..count {
            let ends = ((numbers.below(4) as u8, 1_000 + numbers.below(8) as u16), SERVER);
            let ends = if numbers.below(2) == 0 { ends } else { (ends.1, ends.0) };
            let marks = ["", "A", "A", "A", "S", "SA", "FA", "R", "SFRA"][numbers.below(9)];
            let near = numbers.below(5_000) as u32;
            let sequence =
                near.wrapping_add([0, 0, 0, 1 << 31, u32::MAX - 2_000][numbers.below(5)]);
            let kind = b"OOOSMZLHx"[numbers.below(9)];
            let mut payload = toy(kind, &"T".repeat(numbers.below(600)));
            payload.truncate(numbers.below(700));
            let length = payload.len() + [0, 0, 0, 300][numbers.below(4)];
            table.wait([0, 0, 0, 0, 0, 1, 70][numbers.below(7)]);
            table.tcp_cut(ends, marks, sequence, &payload, length);
            assert!(table.table.flows() <= limits.flows_max);
            assert!(table.table.held_bytes() <= limits.held_bytes_max);
        }
        table.wait(TCP_IDLE_MAX.as_secs());
        let now = table.now;
        table.table.expire(now, &mut Sink { events: &mut table.events, tally: &mut table.tally });
        assert_eq!((table.table.flows(), table.table.held_bytes()), (0, 0), "seed {seed}");
        let flows = table.flows();
        let counted = flows.iter().map(|flow| counts(flow)).map(|[a, _, b, _, _]| a + b);
        assert_eq!(counted.sum::<u64>(), count, "seed {seed}");
    }
}
