//! `inspect`: captures in, events as text out, without an aggregator.
//!
//! Each file is a pipeline of its own, so that the order of the files changes nothing. The same
//! input gives the same bytes. What devices say is hostile to terminals and is written escaped.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use wardmesh_common::event::Event;
use wardmesh_common::text::{visible, visible_json};

use crate::capture::CaptureFile;
use crate::flow::{Dissectors, HashKey, Limits};
use crate::pipeline::Pipeline;

mod table;
#[cfg(test)]
mod tests;

use table::Table;

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, all members always present.
    Ndjson,
    /// Aligned columns for people.
    Table,
}

/// What came of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All could be read, if not all to their ends.
    Read,
    /// One or more are no captures; the others were read.
    NotACapture,
}

impl Outcome {
    /// The process's exit code: 0 where all files are captures, 1 where one is none.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Read => 0,
            Self::NotACapture => 1,
        }
    }
}

/// Reads `paths` in order with `dissectors` and writes their events to `out`; a line to `warn` for
/// each file that is cut short or is no capture. A reader that closes `out` early ends it quietly.
///
/// # Errors
/// Where `out` or `warn` cannot be written for another reason.
pub fn inspect(
    paths: &[PathBuf],
    format: Format,
    dissectors: Dissectors,
    key: HashKey,
    out: &mut dyn Write,
    warn: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut writer = Writer::new(format, out);
    match read_all(paths, dissectors, key, &mut writer, warn) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What is buffered has no reader; dropping the writer must not try it again.
            let _unread = writer.out.into_parts();
            Ok(Outcome::Read)
        }
        other => other,
    }
}

fn read_all(
    paths: &[PathBuf],
    dissectors: Dissectors,
    key: HashKey,
    writer: &mut Writer<'_>,
    warn: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::Read;
    for path in paths {
        match CaptureFile::open(path) {
            Ok(mut file) => {
                let pipeline = Pipeline::new(dissectors, key, Limits::default());
                read(&mut file, pipeline, writer, warn)?;
            }
            Err(error) => {
                outcome = Outcome::NotACapture;
                writeln!(warn, "error: {}", visible(&error.to_string()))?;
            }
        }
    }
    writer.finish()?;
    Ok(outcome)
}

fn read(
    file: &mut CaptureFile,
    mut pipeline: Pipeline,
    writer: &mut Writer<'_>,
    warn: &mut dyn Write,
) -> io::Result<()> {
    let mut events = Vec::new();
    loop {
        match file.next_frame() {
            Ok(Some(frame)) => pipeline.push(&frame, &mut events),
            Ok(None) => break,
            Err(truncated) => {
                writeln!(warn, "warning: {}", visible(&truncated.to_string()))?;
                break;
            }
        }
        writer.write(&mut events)?;
    }
    pipeline.finish(&mut events);
    writer.write(&mut events)
}

/// Events as text, buffered.
struct Writer<'a> {
    out: BufWriter<&'a mut dyn Write>,
    /// Rows that wait for their columns' widths, for [`Format::Table`].
    table: Option<Table>,
}

impl<'a> Writer<'a> {
    fn new(format: Format, out: &'a mut dyn Write) -> Self {
        let table = (format == Format::Table).then(Table::default);
        Self { out: BufWriter::new(out), table }
    }

    /// Writes the events and forgets them.
    fn write(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        for event in events.drain(..) {
            match &mut self.table {
                Some(table) => table.push(&event, &mut self.out)?,
                None => self.out.write_all(json_line(&event)?.as_bytes())?,
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(table) = &mut self.table {
            table.flush(&mut self.out)?;
        }
        self.out.flush()
    }
}

/// An event as one line of JSON.
fn json_line(event: &Event) -> io::Result<String> {
    let mut line = serde_json::to_string(event)?;
    if let Cow::Owned(visible) = visible_json(&line) {
        line = visible;
    }
    line.push('\n');
    Ok(line)
}
