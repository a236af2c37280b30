//! Text from the wire, made harmless to a terminal.
//!
//! Escape sequences could rewrite the screen or the clipboard; characters that change the direction
//! of text could show a name that is not there.

use std::fmt::Write as _;
use std::io;

use wardmesh_common::event::Event;

/// Whether a character acts on a terminal instead of being shown: C0 and C1 controls, and Unicode's
/// zero-width, separator and bidirectional formatting characters.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(character, '\u{e0000}'..='\u{e007f}')
}

/// The text with everything that is not shown escaped as `\u{1b}`, and a backslash as `\\`.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hostile(character) || character == '\\' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// An event as one line of JSON. What JSON lets stand but a terminal acts on is escaped in JSON's
/// own way, so that a reader gets the same text.
pub(super) fn json_line(event: &Event) -> io::Result<String> {
    let mut line = serde_json::to_string(event)?;
    if line.chars().any(is_hostile) {
        line = escaped(&line);
    }
    line.push('\n');
    Ok(line)
}

fn escaped(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_hostile(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}
