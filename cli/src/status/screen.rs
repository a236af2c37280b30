//! The screen of `wardmesh status`, from what was gathered; a missing part is shown as unknown.

use std::io::{self, Write};

use serde_json::Value;

use super::Tally;
use crate::output::{Column, Table, at};
use crate::{cluster, sensors, sites};

/// Kinds named in a summary; the others are summed.
const KINDS_SHOWN: usize = 8;

/// Columns that a screen of 100 characters has no place for; the lists have them.
const LEFT_TO_LISTS: &[&str] = &["RAFT", "HTTP", "VERSION", "LOST", "TITLE"];

/// Writes the screen.
pub(super) fn write(status: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut head = Table::default();
    head.row(["cluster", &agreement(status)]);
    head.row(["devices", &summary(&status["devices"], "by_class")]);
    head.row(["findings open", &summary(&status["findings_open"], "by_severity")]);
    head.row(["sensors", &states(&status["sensors"])]);
    head.write(out)?;
    section(&status["members"], cluster::MEMBERS, out)?;
    section(&status["sites"], sites::LIST, out)?;
    section(&status["sensors"], sensors::LIST, out)
}

fn agreement(status: &Value) -> String {
    let cluster = &status["cluster"];
    if cluster.is_null() {
        return "unknown".to_owned();
    }
    let leader = match at(cluster, "/leader") {
        leader if leader.is_empty() => "no leader".to_owned(),
        leader => format!("leader {leader}"),
    };
    let of = |name: &str, pointer| match at(cluster, pointer) {
        value if value.is_empty() => String::new(),
        value => format!(", {name} {value}"),
    };
    let members = status["members"].as_array();
    let members = members.map_or_else(String::new, |all| format!(", members {}", all.len()));
    let (term, applied) = (of("term", "/term"), of("applied", "/applied"));
    format!("{leader}{term}{applied}{members} (asked node {})", at(cluster, "/node_id"))
}

/// `26: 8 patient-monitor, 6 ct-scanner, …`
fn summary(counted: &Value, name: &str) -> String {
    let Some(total) = counted["total"].as_u64() else { return "unknown".to_owned() };
    let at_least = if counted["complete"] == Value::Bool(false) { "at least " } else { "" };
    let kinds: Vec<_> = counted[name].as_object().into_iter().flatten().collect();
    let mut shown: Vec<_> =
        kinds.iter().take(KINDS_SHOWN).map(|(kind, count)| format!("{count} {kind}")).collect();
    let rest: u64 = kinds.iter().skip(KINDS_SHOWN).filter_map(|(_, count)| count.as_u64()).sum();
    if rest > 0 {
        shown.push(format!("{rest} of other kinds"));
    }
    let colon = if shown.is_empty() { "" } else { ": " };
    format!("{at_least}{total}{colon}{}", shown.join(", "))
}

/// How many sensors are in each state.
fn states(sensors: &Value) -> String {
    let Some(sensors) = sensors.as_array() else { return "unknown".to_owned() };
    let mut tally = Tally::default();
    tally.add(sensors, "/state");
    summary(&tally.json("by_state", true), "by_state")
}

/// A list under an empty line, without the columns that only the list's own command shows.
fn section(items: &Value, columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
    let Some(items) = items.as_array().filter(|items| !items.is_empty()) else { return Ok(()) };
    let kept = |column: &&Column| !LEFT_TO_LISTS.contains(&column.heading);
    let columns: Vec<_> = columns.iter().filter(kept).collect();
    let headings: Vec<_> = columns.iter().map(|column| column.heading).collect();
    let mut table = Table::new(&headings);
    for item in items {
        table.row(columns.iter().map(|column| (column.cell)(item)));
    }
    writeln!(out)?;
    table.write(out)
}
