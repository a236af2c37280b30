//! What all lists share: how many items, the pages on their way out, and what an answer does not
//! know.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use crate::access::{Access, note};
use crate::api::Query;
use crate::failure::Failure;
use crate::output::{Column, Lister};

/// How much of a list.
#[derive(Args, Clone, Copy, Debug)]
pub struct Limit {
    /// How many at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Limit {
    fn items(self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

/// Query parameters from flags that were given.
pub fn query<'a>(flags: impl IntoIterator<Item = (&'static str, &'a Option<String>)>) -> Query {
    let given = flags.into_iter().filter_map(|(name, flag)| Some((name, flag.clone()?)));
    given.collect()
}

/// Query parameters from a flag that may be repeated.
pub fn repeated(name: &'static str, values: &[String]) -> Query {
    values.iter().map(|value| (name, value.clone())).collect()
}

/// Prints a list and says on standard error what is missing from it.
///
/// # Errors
/// Where a page cannot be got or the output not be written.
pub fn print(
    access: &Access,
    (path, query): (&str, Query),
    limit: Limit,
    columns: &[Column],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let client = access.client();
    let mut pages = client.pages(path, query, limit.items());
    let mut lister = Lister::new(access.output, columns, out);
    let mut meta = Value::Null;
    for page in &mut pages {
        let page = page?;
        meta = page.meta;
        lister.page(page.items)?;
    }
    lister.finish()?;
    if pages.more() {
        note(&format!("note: only the first {}; --limit asks for more", limit.limit));
    }
    caveats(&meta);
    Ok(())
}

/// Prints a list that the API gives in one piece.
///
/// # Errors
/// Where it cannot be got or the output not be written.
pub fn print_all(
    access: &Access,
    path: &str,
    columns: &[Column],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let page = access.client().whole(path)?;
    let mut lister = Lister::new(access.output, columns, out);
    lister.page(page.items)?;
    lister.finish()?;
    caveats(&page.meta);
    Ok(())
}

/// Says on standard error what an answer does not know.
pub fn caveats(meta: &Value) {
    let partial: Vec<_> =
        meta["partial_sites"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !partial.is_empty() {
        let sites = partial.join(", ");
        note(&format!(
            "note: what was seen lately is incomplete: no word from a sensor at {sites}"
        ));
    }
}
