//! Source files as the rules read them: comments and literals blanked, tests told from the product.
//!
//! Blanks keep every line and column, so that a fault's place is the place in the file. This is no
//! parser: it knows just enough of Rust's lexis not to be misled by a brace in a string.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
pub(crate) struct Source {
    /// Path from the repository's root, with `/`.
    pub(crate) path: String,
    /// The file as it is.
    pub(crate) text: String,
}

impl Source {
    /// A file that exists only in a test.
    #[cfg(test)]
    pub(crate) fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The code with comments and literals blanked.
    pub(crate) fn code(&self) -> String {
        blank(&self.text, Blank { comments: true })
    }

    /// The text with literals blanked and comments kept.
    pub(crate) fn prose(&self) -> String {
        blank(&self.text, Blank { comments: false })
    }

    /// The code of the product: nothing where the file is a test, and no `#[cfg(test)]` items.
    pub(crate) fn product(&self) -> String {
        if self.is_test() { String::new() } else { without_tests(&self.code()) }
    }

    /// Whether the whole file is compiled for tests only.
    pub(crate) fn is_test(&self) -> bool {
        let path = self.path.trim_end_matches(".rs");
        path.starts_with("tests/")
            || path.split('/').any(|part| {
                matches!(part, "tests" | "testing" | "testkit") || part.ends_with("_testing")
            })
    }

    /// A fault at a byte offset, as `path:line: what`.
    pub(crate) fn fault(&self, at: usize, what: &str) -> String {
        let line = 1 + self.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        format!("{}:{line}: {what}", self.path)
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file of the workspace's packages.
pub(crate) fn rust_sources() -> Vec<Source> {
    let all = text_files();
    let sources: Vec<Source> = all.into_iter().filter(|file| file.path.ends_with(".rs")).collect();
    assert!(sources.len() > 50, "only {} sources found: is the root right?", sources.len());
    sources
}

/// Every text file of the repository outside `target`, `.git` and folders of captures.
pub(crate) fn text_files() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            if !matches!(name.as_str(), "target" | ".git") {
                walk(&entry.path(), &format!("{path}/"), found);
            }
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(Source { path, text });
        }
    }
}

/// What [`blank`] blanks beside literals.
#[derive(Clone, Copy)]
struct Blank {
    comments: bool,
}

fn blank(text: &str, what: Blank) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (length, keep) = if rest.starts_with(b"//") {
            (line_length(rest), !what.comments)
        } else if rest.starts_with(b"/*") {
            (block_length(rest), !what.comments)
        } else if let Some(length) = literal_length(bytes, at) {
            (length, false)
        } else {
            (1, true)
        };
        for byte in &mut out[at..at + length] {
            if !keep && *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += length;
    }
    String::from_utf8(out).unwrap()
}

fn line_length(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

fn block_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (step, change) = match &rest[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string, raw string or character literal that begins here.
fn literal_length(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest[0] == b'"' {
        return Some(quoted_length(rest));
    }
    if rest[0] == b'r' && (!in_word || bytes[at - 1] == b'b') {
        let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
        if rest.get(1 + hashes) == Some(&b'"') {
            let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
            let body = &rest[2 + hashes..];
            let length = body.windows(end.len()).position(|window| window == end);
            return Some(length.map_or(rest.len(), |length| 2 + hashes + length + end.len()));
        }
    }
    character_length(rest)
}

fn quoted_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal, not a lifetime: `'x'`, `'\n'`, `'é'`.
fn character_length(rest: &[u8]) -> Option<usize> {
    if rest[0] != b'\'' {
        return None;
    }
    let from = if rest.get(1) == Some(&b'\\') { 3 } else { 2 };
    let until = rest.len().min(from + 10);
    let end = from + rest.get(from..until)?.iter().position(|byte| *byte == b'\'')?;
    let body = std::str::from_utf8(&rest[1..end]).ok()?;
    (rest[1] == b'\\' || body.chars().count() == 1).then_some(end + 1)
}

/// Code without the items that follow `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = start + item_length(&out[start..]);
        let blanks: String =
            out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blanks);
    }
    out
}

/// Up to the `;` or closing brace that ends the item.
fn item_length(item: &str) -> usize {
    let first = item.find([';', '{']).unwrap_or(item.len());
    if item[first..].starts_with('{') { first + body_length(&item[first..]) } else { first }
}

/// The length of a body that begins with its opening brace.
pub(crate) fn body_length(body: &str) -> usize {
    let mut depth = 0;
    for (at, character) in body.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    body.len()
}

/// Byte offsets of `word` where it stands alone; a word may hold `::` and begin or end anywhere in a
/// path, not in an identifier.
pub(crate) fn places(text: &str, word: &str) -> Vec<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let opens = word.starts_with(part);
    let closes = word.ends_with(part);
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| {
            let before = text[..*at].ends_with(part);
            let after = text[at + word.len()..].starts_with(part);
            !(opens && before || closes && after)
        })
        .collect()
}

#[test]
fn literals_and_comments_are_blanked_in_place() {
    let source = Source::of(
        "common/src/x.rs",
        "a(\"{ // no\"); // b }\nc('{', '\\'', r#\"}\"#, b\"}\"); /* { /* } */ */ d<'x>('é')",
    );
    let code = source.code();
    assert_eq!(code.split_whitespace().collect::<String>(), "a();c(,,,b);d<'x>()");
    assert_eq!((code.len(), code.lines().count()), (source.text.len(), 2));
    assert!(source.prose().contains("// b }"));
}

#[test]
fn tests_are_told_from_the_product() {
    let text =
        "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\n#[cfg(test)]\nmod c;\nfn d() {}";
    let product = Source::of("common/src/x.rs", text).product();
    assert_eq!(product.split_whitespace().collect::<String>(), "fna(){};fnd(){}");
    for path in ["tests/a.rs", "sensor/src/flow/tests.rs", "sensor/src/x_testing/mod.rs"] {
        assert!(Source::of(path, text).is_test(), "{path}");
    }
    assert!(!Source::of("sensor/src/attests.rs", text).is_test());
}

#[test]
fn words_stand_alone() {
    assert_eq!(places("tokio x_tokio tokio::fs tokios", "tokio"), [0, 14]);
    assert_eq!(places("a::Instant::now() Instant::nowhere", "Instant::now"), [3]);
}
