//! Text from the wire, made harmless to a terminal.
//!
//! Escape sequences could rewrite the screen or the clipboard; characters that change the direction
//! of text could show a name that is not there. Nothing here changes what a program reads.

use std::borrow::Cow;
use std::fmt::Write as _;

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
#[must_use]
pub fn visible(text: &str) -> String {
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

/// JSON text in which what JSON lets stand but a terminal acts on is escaped in JSON's own way
/// (RFC 8259 section 7), so that a reader gets the same values.
///
/// Line feeds stay: valid JSON has them between its tokens only.
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    // Nearly every line: no character beyond ASCII, and of ASCII only the controls are hostile.
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Cow::Borrowed(json);
    }
    let hostile = |character: char| is_hostile(character) && character != '\n';
    if !json.contains(hostile) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if hostile(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Levenshtein's distance over bytes: how many insertions, deletions and replacements lie between.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped() {
        assert_eq!(visible("CT-01 Zürich 東京"), "CT-01 Zürich 東京");
        assert_eq!(
            visible("a\u{1b}]0;x\u{7}\u{9b}\u{202e}\n\\"),
            "a\\u{1b}]0;x\\u{7}\\u{9b}\\u{202e}\\n\\\\"
        );
    }

    #[test]
    fn json_keeps_its_values_and_its_lines() {
        let json = "{\n  \"name\": \"a\u{202e}\u{7f}\u{e0041}\"\n}";
        let shown = "{\n  \"name\": \"a\\u202e\\u007f\\udb40\\udc41\"\n}";
        assert_eq!(visible_json(json), shown);
        assert!(matches!(visible_json("{\n}"), Cow::Borrowed(_)));
    }
}
