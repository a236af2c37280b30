//! Files and functions that a reader can hold in mind, each file with a header that says why it is.

use crate::source::{Source, body_length, places};

/// Lines of a file, tests included: 90 % of the best codebases' files are under 320.
const FILE_LINES_MAX: usize = 400;

/// Lines of a function with its signature: one screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Lines of prose in a file's header; a diagram in a code fence does not count.
const HEADER_LINES_MAX: usize = 8;

/// Files and functions that are too long.
pub(crate) fn faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(source.fault(0, &format!("{lines} lines; at most {FILE_LINES_MAX}")));
    }
    let code = source.code();
    for at in places(&code, "fn") {
        let lines = function_lines(&code[at..]);
        if lines > FUNCTION_LINES_MAX {
            let what = format!("a function of {lines} lines; at most {FUNCTION_LINES_MAX}");
            faults.push(source.fault(at, &what));
        }
    }
    faults
}

/// Lines from `fn` to the closing brace; 1 for a declaration or a type.
fn function_lines(code: &str) -> usize {
    let Some(open) = code.find([';', '{', '=']) else { return 1 };
    if !code[open..].starts_with('{') {
        return 1;
    }
    code[..open + body_length(&code[open..])].lines().count()
}

/// Headers that are missing or too long.
pub(crate) fn header_faults(source: &Source) -> Vec<String> {
    let header: Vec<&str> =
        source.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let (mut fenced, mut prose) = (false, 0);
    for line in &header {
        if line.contains("```") {
            fenced = !fenced;
        } else if !fenced {
            prose += 1;
        }
    }
    match prose {
        0 => vec![source.fault(0, "no `//!` header that says why the file exists")],
        1..=HEADER_LINES_MAX => Vec::new(),
        _ => {
            vec![source.fault(0, &format!("a header of {prose} lines; at most {HEADER_LINES_MAX}"))]
        }
    }
}

#[test]
fn what_is_too_long_is_a_fault() {
    let function = |lines: usize| format!("fn f(a: u8)\n{{{}}}", "\n".repeat(lines - 2));
    assert_eq!(faults(&Source::of("a.rs", &function(70))), Vec::<String>::new());
    assert_eq!(faults(&Source::of("a.rs", &function(71))).len(), 1);
    assert_eq!(faults(&Source::of("a.rs", &"\n".repeat(401))).len(), 1);
    let braces = format!("fn f() {{ let a = \"{{\"; }}\n{}", "\n".repeat(300));
    assert_eq!(faults(&Source::of("a.rs", &braces)), Vec::<String>::new());
}

#[test]
fn a_file_without_a_short_header_is_a_fault() {
    let diagram = format!("//! Why.\n//! ```text\n{}//! ```\n", "//! a -> b\n".repeat(20));
    assert_eq!(header_faults(&Source::of("a.rs", &diagram)), Vec::<String>::new());
    assert_eq!(header_faults(&Source::of("a.rs", "use a;")).len(), 1);
    assert_eq!(header_faults(&Source::of("a.rs", &"//! Long.\n".repeat(9))).len(), 1);
}
