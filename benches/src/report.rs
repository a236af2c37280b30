//! A bench's figures: an aligned table for people and one line of JSON for machines.

use std::io::{self, Write};

use serde_json::{Value, json};

/// The figures of one run.
#[derive(Debug)]
pub struct Report {
    bench: &'static str,
    json: bool,
    sections: Vec<Section>,
    /// Keys of the line of JSON beside the sections.
    summary: Vec<(&'static str, Value)>,
}

#[derive(Debug)]
struct Section {
    title: String,
    rows: Vec<Row>,
}

/// One figure.
#[derive(Debug)]
struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    /// This figure as a part of another of the same run, and which one.
    of: Option<(f64, &'static str)>,
    /// What it should come to.
    target: Option<Target>,
}

/// What a figure should come to, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Target {
    /// Whether a figure comes to it.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn bound(self) -> f64 {
        match self {
            Self::AtMost(bound) | Self::AtLeast(bound) => bound,
        }
    }
}

impl Report {
    /// An empty report; `--json` among the process's arguments asks for the last line.
    #[must_use]
    pub fn new(bench: &'static str) -> Self {
        let json = std::env::args().skip(1).any(|argument| argument == "--json");
        Self { bench, json, sections: Vec::new(), summary: Vec::new() }
    }

    /// The rows from here on are about this.
    pub fn section(&mut self, title: impl Into<String>) {
        self.sections.push(Section { title: title.into(), rows: Vec::new() });
    }

    /// Adds a figure.
    pub fn figure(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.row(Row { what: what.into(), value, unit, of: None, target: None });
    }

    /// Adds a figure beside the limit or peer that it is held against, in the same unit.
    pub fn against(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        (limit, name): (f64, &'static str),
    ) {
        let ratio = if limit > 0.0 { value / limit } else { 0.0 };
        self.row(Row { what: what.into(), value, unit, of: Some((ratio, name)), target: None });
    }

    /// Adds a figure beside what it should come to.
    pub fn target(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Target,
    ) {
        self.row(Row { what: what.into(), value, unit, of: None, target: Some(target) });
    }

    /// Adds a key of its own to the line of JSON.
    pub fn summary(&mut self, key: &'static str, value: impl Into<Value>) {
        self.summary.push((key, value.into()));
    }

    fn row(&mut self, row: Row) {
        if self.sections.is_empty() {
            self.section("");
        }
        if let Some(section) = self.sections.last_mut() {
            section.rows.push(row);
        }
    }

    /// Writes the table and, where it was asked for, the line of JSON.
    ///
    /// # Errors
    /// Where standard output is closed.
    pub fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for Section { title, rows } in &self.sections {
            writeln!(out, "\n{title}")?;
            let wide = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
            for Row { what, value, unit, of, target } in rows {
                let ratio = of.map_or_else(String::new, |(ratio, name)| {
                    format!("  {} of {name}", share(ratio))
                });
                let target = target.map_or_else(String::new, |target| aimed(*value, target));
                let value = grouped(*value);
                let line = format!("  {what:<wide$}  {value:>13} {unit:<13}{ratio}{target}");
                writeln!(out, "{}", line.trim_end())?;
            }
        }
        if self.json {
            writeln!(out, "{}", self.to_json())?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let rows = |rows: &[Row]| -> Vec<Value> {
            let one = |row: &Row| {
                let (ratio, name) = row.of.unzip();
                let target = row.target.map(
                    |target| json!({"bound": target.bound(), "met": target.is_met(row.value)}),
                );
                json!({"what": row.what, "value": row.value, "unit": row.unit,
                       "ratio": ratio, "of": name, "target": target})
            };
            rows.iter().map(one).collect()
        };
        let sections = self.sections.iter();
        let sections: Vec<_> =
            sections.map(|s| json!({"title": s.title, "figures": rows(&s.rows)})).collect();
        let mut line = serde_json::Map::new();
        line.extend(self.summary.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        line.insert("bench".to_owned(), self.bench.into());
        line.insert("sections".to_owned(), sections.into());
        line.into()
    }
}

/// A target, and whether the value comes to it.
fn aimed(value: f64, target: Target) -> String {
    let sign = match target {
        Target::AtMost(_) => "at most",
        Target::AtLeast(_) => "at least",
    };
    let met = if target.is_met(value) { "met" } else { "MISSED" };
    format!("  {sign} {}: {met}", grouped(target.bound()))
}

/// A part of one in per cent, or a multiple.
fn share(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 2.0 => format!("{ratio:.1} x"),
        ratio if ratio >= 0.1 => format!("{:.0} %", ratio * 100.0),
        ratio => format!("{:.1} %", ratio * 100.0),
    }
}

/// Three digits that count, with commas between thousands.
fn grouped(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        for (value, text) in [(1.5, "1.50"), (999.6, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(grouped(value), text);
        }
        for (ratio, text) in [(0.0123, "1.2 %"), (0.5, "50 %"), (12.34, "12.3 x")] {
            assert_eq!(share(ratio), text);
        }
    }
}
