//! What goes to standard output: aligned columns for people, JSON for programs.
//!
//! Names come from devices and are hostile to terminals: in each form they are escaped.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::Value;
use wardmesh_common::text::{visible, visible_json};

#[cfg(test)]
mod tests;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people
    #[default]
    Table,
    /// One array or object, as the API has it
    Json,
    /// One object a line
    Ndjson,
}

/// One column of a list, one line of a single thing.
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// Its text, unescaped, from an item.
    pub cell: fn(&Value) -> String,
}

/// Rows that are aligned as one; cells are made harmless as they come.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a line of headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(headings.iter().copied());
        table
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        let cell = |cell: &str| if cell.is_empty() { "-".to_owned() } else { visible(cell) };
        self.rows.push(cells.into_iter().map(|text| cell(text.as_ref())).collect());
    }

    /// Writes all rows with two spaces between the columns and none at the ends of lines.
    ///
    /// # Errors
    /// Where `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                // Writing to a string cannot fail.
                let _ = write!(line, "{cell:<width$}  ");
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Writes the items of a list, which come page by page.
pub struct Lister<'a> {
    format: Format,
    columns: &'a [Column],
    held: Vec<Value>,
    out: &'a mut dyn Write,
}

impl<'a> Lister<'a> {
    /// Writes to `out`, in a table the `columns`.
    pub fn new(format: Format, columns: &'a [Column], out: &'a mut dyn Write) -> Self {
        Self { format, columns, held: Vec::new(), out }
    }

    /// Takes a page. Lines of JSON are written at once; an array and a table's widths need all.
    ///
    /// # Errors
    /// Where the output cannot be written.
    pub fn page(&mut self, items: Vec<Value>) -> io::Result<()> {
        if self.format != Format::Ndjson {
            self.held.extend(items);
            return Ok(());
        }
        items.iter().try_for_each(|item| json(item, Format::Ndjson, self.out))
    }

    /// Writes what was held until all pages are there.
    ///
    /// # Errors
    /// Where the output cannot be written.
    pub fn finish(self) -> io::Result<()> {
        match self.format {
            Format::Ndjson => Ok(()),
            Format::Json => json(&Value::Array(self.held), Format::Json, self.out),
            Format::Table => {
                let headings: Vec<_> = self.columns.iter().map(|column| column.heading).collect();
                let mut table = Table::new(&headings);
                for item in &self.held {
                    table.row(self.columns.iter().map(|column| (column.cell)(item)));
                }
                table.write(self.out)
            }
        }
    }
}

/// Writes one thing; for people a line for each of its members, lists of objects an item a line.
///
/// # Errors
/// Where `out` cannot be written.
pub fn thing(thing: &Value, format: Format, out: &mut dyn Write) -> io::Result<()> {
    let members = match thing {
        Value::Object(members) if format == Format::Table => members,
        _ => return json(thing, format, out),
    };
    let mut table = Table::default();
    for (name, value) in members {
        match value {
            Value::Array(values) if values.iter().any(Value::is_object) => {
                let names = std::iter::once(name.as_str()).chain(std::iter::repeat("  "));
                names.zip(values).for_each(|(name, value)| table.row([name, &text(value)]));
            }
            _ => table.row([name.as_str(), &text(value)]),
        }
    }
    table.write(out)
}

/// Writes a value as JSON: indented, or as one line.
///
/// # Errors
/// Where `out` cannot be written.
pub fn json(value: &Value, format: Format, out: &mut dyn Write) -> io::Result<()> {
    let text = match format {
        Format::Ndjson => serde_json::to_string(value)?,
        Format::Json | Format::Table => serde_json::to_string_pretty(value)?,
    };
    writeln!(out, "{}", visible_json(&text))
}

/// A value as text for people: nothing for null, a list with commas, an object as `name=value`.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            let members = members.map(|(name, value)| format!("{name}={}", text(value)));
            members.collect::<Vec<_>>().join(" ")
        }
    }
}

/// The text at a JSON pointer (RFC 6901); empty where there is none.
#[must_use]
pub fn at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map(text).unwrap_or_default()
}
