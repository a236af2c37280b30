//! Names are the field's words; what says nothing is not used. Nothing is left for later.

use crate::source::{Source, body_length, places};

/// Parts of type names that say nothing of what the thing is.
const EMPTY_WORDS: &[&str] = &["Manager", "Helper", "Helpers", "Util", "Utils", "Info", "Data"];

/// Module names that would become a place rather than an idea.
const EMPTY_MODULES: &[&str] = &["helper", "helpers", "info", "manager", "misc", "util", "utils"];

/// A map's own word, as in the standard library.
const MAP_ACCESS: &str = "get_mut";

/// Marks of unfinished work, in code, comments and documents.
const LATER: &[&str] = &["TODO", "FIXME", "XXX", "HACK", "Placeholder", "todo!", "unimplemented!"];

/// Empty words in the names that a file defines.
pub(crate) fn faults(source: &Source) -> Vec<String> {
    let code = without_foreign_names(source.code());
    let mut faults = Vec::new();
    for keyword in ["struct", "enum", "trait", "type", "union"] {
        for (at, name) in defined(&code, keyword) {
            if let Some(word) = camel_words(name).into_iter().find(|w| EMPTY_WORDS.contains(w)) {
                faults.push(source.fault(at, &format!("'{name}': '{word}' says nothing")));
            }
        }
    }
    for (at, name) in defined(&code, "fn") {
        if name.starts_with("get_") && name != MAP_ACCESS {
            faults.push(source.fault(at, &format!("'{name}': name what it returns, without get_")));
        }
    }
    for (at, name) in defined(&code, "mod") {
        if EMPTY_MODULES.contains(&name) {
            faults.push(source.fault(at, &format!("module '{name}' is a place, not an idea")));
        }
    }
    faults
}

/// Marks of unfinished work; literals of Rust files do not count.
pub(crate) fn leftovers(source: &Source) -> Vec<String> {
    let rust = source.path.ends_with(".rs");
    let document = [".md", ".toml", ".yaml", ".yml", ".sh", ".py"];
    let text = if rust {
        source.prose()
    } else if document.iter().any(|end| source.path.ends_with(end)) {
        source.text.clone()
    } else {
        return Vec::new();
    };
    let found =
        LATER.iter().flat_map(|word| places(&text, word).into_iter().map(move |at| (at, word)));
    found
        .map(|(at, word)| source.fault(at, &format!("{word}: do it now or open an issue")))
        .collect()
}

/// Code without the bodies of `impl Trait for Type`: there the trait chose the names.
fn without_foreign_names(mut code: String) -> String {
    for at in places(&code, "impl") {
        let Some(open) = code[at..].find(['{', ';']).map(|open| at + open) else { break };
        if code[open..].starts_with('{') && code[at..open].contains(" for ") {
            let body = open..open + body_length(&code[open..]);
            let blanks = code[body.clone()].replace(|c| c != '\n', " ");
            code.replace_range(body, &blanks);
        }
    }
    code
}

/// The names that follow a keyword, with their places.
fn defined<'a>(code: &'a str, keyword: &str) -> Vec<(usize, &'a str)> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    places(code, keyword)
        .into_iter()
        .filter_map(|at| {
            let rest = code[at + keyword.len()..].strip_prefix(' ')?;
            let name = &rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())];
            (!name.is_empty()).then_some((at, name))
        })
        .collect()
}

/// `NodeInfo` as `Node` and `Info`.
fn camel_words(name: &str) -> Vec<&str> {
    let mut starts: Vec<usize> =
        name.char_indices().filter(|(_, c)| c.is_uppercase()).map(|(at, _)| at).collect();
    starts.push(name.len());
    starts.windows(2).map(|pair| &name[pair[0]..pair[1]]).collect()
}

#[test]
fn an_empty_word_is_a_fault() {
    let bad =
        ["struct NodeInfo;", "enum Data {}", "fn get_node() {}", "mod util;", "trait IdHelper {}"];
    for text in bad {
        assert_eq!(faults(&Source::of("common/src/x.rs", text)).len(), 1, "{text}");
    }
    let good = "struct Database; fn target() {} // get_x\nmod utility_rooms; fn forget_it() {}\n\
        impl Log for Store { type UserData = u8; fn get_state(&self) {} }";
    assert_eq!(faults(&Source::of("common/src/x.rs", good)), Vec::<String>::new());
}

#[test]
fn unfinished_work_is_a_fault() {
    for text in ["// TODO: x", "todo!()", "/// FIXME", "unimplemented!()", "//! Placeholder"] {
        assert_eq!(leftovers(&Source::of("common/src/x.rs", text)).len(), 1, "{text}");
    }
    assert_eq!(leftovers(&Source::of("README.md", "TODO")).len(), 1);
    assert_eq!(leftovers(&Source::of("common/src/x.rs", "let word = \"TODO\";")).len(), 0);
}
