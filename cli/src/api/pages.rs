//! A list's pages, by cursor until its end or until enough was given.

use serde_json::Value;

use super::{Client, Query};
use crate::failure::Failure;

/// Items asked for at once: the API's most.
const PAGE_MAX: usize = 1_000;

/// One page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The items; may be none although more follow.
    pub items: Vec<Value>,
    /// What the answer says of itself; `null` where it says nothing.
    pub meta: Value,
}

impl Page {
    /// Takes an answer's envelope off.
    pub(super) fn read(path: &str, mut answer: Value) -> Result<Self, Failure> {
        let Some(Value::Array(items)) = answer.get_mut("data").map(Value::take) else {
            return Err(anyhow::anyhow!("{path}: the answer is no list").into());
        };
        Ok(Self { items, meta: answer.get_mut("meta").map(Value::take).unwrap_or_default() })
    }
}

/// The pages of a list.
pub struct Pages<'a> {
    client: &'a Client,
    path: String,
    query: Query,
    left: usize,
    cursor: Option<String>,
    ended: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(client: &'a Client, path: String, query: Query, limit: usize) -> Self {
        Self { client, path, query, left: limit, cursor: None, ended: false }
    }

    /// Whether the list goes on behind what was given. To be asked at the end.
    #[must_use]
    pub fn more(&self) -> bool {
        self.cursor.is_some()
    }

    /// All items and the last page's meta, at most as many as the limit.
    ///
    /// # Errors
    /// Those of the first page that could not be got.
    pub fn collect_items(&mut self) -> Result<Page, Failure> {
        let mut all = Page { items: Vec::new(), meta: Value::Null };
        for page in self {
            let page = page?;
            all.items.extend(page.items);
            all.meta = page.meta;
        }
        Ok(all)
    }

    fn fetch(&mut self) -> Result<Page, Failure> {
        let mut query = self.query.clone();
        query.push(("limit", self.left.min(PAGE_MAX).to_string()));
        if let Some(cursor) = self.cursor.take() {
            query.push(("cursor", cursor));
        }
        let answer = self.client.get(&self.path, &query)?;
        let next = answer.pointer("/page/next").and_then(Value::as_str).map(str::to_owned);
        let mut page = Page::read(&self.path, answer)?;
        page.items.truncate(self.left);
        self.left -= page.items.len();
        self.cursor = next;
        Ok(page)
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Page, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let page = self.fetch();
        self.ended = page.is_err() || self.left == 0 || self.cursor.is_none();
        Some(page)
    }
}
