//! Events as aligned columns for people.
//!
//! Rows wait in blocks for the widths of their columns, so that memory stays bounded; widths only
//! grow from block to block.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;

use wardmesh_common::event::{Attribute, Event, Peer};
use wardmesh_common::text::visible;

/// 256 rows, a few screens, are aligned together.
const BLOCK_ROWS: usize = 256;
/// The columns before the last one, which is as wide as it needs.
const ALIGNED: usize = 7;
const HEADINGS: [&str; ALIGNED + 1] =
    ["TIME", "KIND", "MAC", "IP", "VLAN", "PEER", "SERVICE", "DETAIL"];

type Row = [String; ALIGNED + 1];

/// Rows that wait for their columns' widths.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    widths: [usize; ALIGNED],
    begun: bool,
}

impl Table {
    pub(super) fn push(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.rows.push(HEADINGS.map(str::to_owned));
        }
        self.rows.push(row(event));
        if self.rows.len() >= BLOCK_ROWS { self.flush(out) } else { Ok(()) }
    }

    /// Writes the rows that wait.
    pub(super) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for row in &self.rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in self.rows.drain(..) {
            let mut line = String::new();
            for (width, cell) in self.widths.iter().zip(&row) {
                // Writing to a string cannot fail.
                let _ = write!(line, "{cell:<width$}  ");
            }
            let [.., detail] = row;
            line.push_str(&detail);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn row(event: &Event) -> Row {
    [
        event.observed_at.to_string(),
        event.kind.to_string(),
        or_dash(event.device.mac),
        or_dash(event.device.ip),
        or_dash(event.device.vlan),
        event.peer.as_ref().map_or_else(|| "-".to_owned(), peer),
        service(event),
        detail(event),
    ]
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn peer(peer: &Peer) -> String {
    match (peer.ip, peer.port) {
        (Some(IpAddr::V6(ip)), Some(port)) => format!("[{ip}]:{port}"),
        (Some(ip), Some(port)) => format!("{ip}:{port}"),
        (Some(ip), None) => ip.to_string(),
        (None, _) => or_dash(peer.mac),
    }
}

fn service(event: &Event) -> String {
    let Some(service) = &event.service else { return "-".to_owned() };
    let mut text = service.transport.to_string();
    if let Some(port) = service.port {
        let _ = write!(text, "/{port}");
    }
    if let Some(protocol) = &service.protocol {
        let _ = write!(text, " {protocol}");
    }
    text
}

fn detail(event: &Event) -> String {
    let said = event.attributes.iter().map(|Attribute { key, values }| {
        let values: Vec<_> = values.iter().map(|value| visible(value)).collect();
        format!("{key}={}", values.join("|"))
    });
    let counted = event.counters.iter().map(|counter| format!("{}={}", counter.key, counter.value));
    said.chain(counted).collect::<Vec<_>>().join("  ")
}
