//! Lists: by cursor only, since an offset skips rows when the list changes under it.
//!
//! A cursor names the last item of its page, the filters that it belongs to and the times that they
//! came to, so that `-24h` means the same on every page. It is opaque, and good on every node.

use axum::http::HeaderValue;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use wardmesh_common::time::Timestamp;

use super::problem::{Problem, kinds};
use super::query::{Asked, Parameters};

/// Items of a page where the request names no number.
pub(crate) const LIMIT_DEFAULT: usize = 100;

/// Items of a page at most: 1,000 devices are about 1 MB of JSON.
pub(crate) const LIMIT_MAX: usize = 1_000;

/// Bytes of a cursor's key: the longest is a site's name.
const KEY_LENGTH_MAX: usize = wardmesh_common::id::NAME_LENGTH_MAX;

/// Items, where they end, and what they say of themselves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// Where the next items are.
    pub(crate) page: Page,
    /// What the answer knows.
    pub(crate) meta: Meta,
}

/// Where the next items of a list are.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Page {
    /// The cursor of the next page, also in the header `Link`; null at the end. A page may hold
    /// fewer items than its limit, even none, and yet not be the last.
    pub(crate) next: Option<String>,
    /// Items of a page at most.
    pub(crate) limit: usize,
}

/// What an answer knows and what it does not.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Meta {
    /// The leader's time of the latest applied command (RFC 3339 UTC, milliseconds).
    pub(crate) as_of: String,
    /// The Raft log index of the latest applied entry.
    pub(crate) applied_index: u64,
    /// `local`, `leader` or `linearizable`.
    pub(crate) consistency: &'static str,
    /// Milliseconds since this node last heard the leader; null where it never did.
    pub(crate) staleness_ms: Option<u64>,
    /// Sites of which something is missing: a sensor there is silent, or there is none; all of them
    /// where the leader was not heard for five minutes.
    pub(crate) partial_sites: Vec<String>,
    /// The time from which the items are, where there is a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// The time before which the items are, where there is a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
    /// The first log index whose events this node still has; only of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history_from: Option<u64>,
    /// Log entries whose events are left out while this node rebuilds its index; only of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<MissingView>,
}

/// Log entries, both ends included.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Missing)]
pub(crate) struct MissingView {
    /// The first one.
    pub(crate) from: u64,
    /// The last one.
    pub(crate) through: u64,
}

/// The parameters of every list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Paging::read` takes")]
pub(crate) struct PageParameters {
    /// Items of a page at most.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// `page.next` of the page before, with the same filters.
    cursor: Option<String>,
}

/// What is asked of a list.
pub(crate) struct Paging {
    /// Items at most.
    pub(crate) limit: usize,
    /// The page before.
    pub(crate) cursor: Option<Cursor>,
    filter: u64,
}

/// The end of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    filter: u64,
    /// The lower bound of time that the filters came to.
    pub(crate) since: Option<Timestamp>,
    /// The upper one.
    pub(crate) until: Option<Timestamp>,
    /// The last item.
    pub(crate) key: Vec<u8>,
}

impl Paging {
    /// Reads `limit` and `cursor`.
    pub(crate) fn read(asked: &Asked, parameters: &Parameters<'_>) -> Result<Self, Problem> {
        let limit = parameters.read::<u64>("limit")?.unwrap_or(LIMIT_DEFAULT as u64);
        if !(1..=LIMIT_MAX as u64).contains(&limit) {
            let detail = format!("limit: a page has 1 to {LIMIT_MAX} items.");
            let problem = Problem::new(&kinds::INVALID_PARAMETER, detail);
            return Err(problem.over("limit", LIMIT_MAX as u64, limit));
        }
        let filter = parameters.filter_hash(&asked.path);
        let cursor =
            parameters.one("cursor")?.map(|text| Cursor::read(text, filter)).transpose()?;
        Ok(Self { limit: limit as usize, cursor, filter })
    }

    /// The last item of the page before, by a reader of its key.
    pub(crate) fn after<K>(
        &self,
        key: impl FnOnce(&[u8]) -> Option<K>,
    ) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        key(&cursor.key).map(Some).ok_or_else(invalid)
    }

    /// The page that ends with an item.
    pub(crate) fn page(
        &self,
        last: Option<Vec<u8>>,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Page {
        let cursor = |key| Cursor { filter: self.filter, since, until, key };
        Page { next: last.map(|key| cursor(key).to_string()), limit: self.limit }
    }
}

/// Items as the text of a JSON array: written while the state is held, once, without a tree between.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<u8>);

impl Rows {
    /// None yet, with room for so many bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds an item. One that cannot be written, which none of ours is, is left out whole.
    pub(crate) fn push(&mut self, item: &impl Serialize) {
        let length = self.0.len();
        if length > 0 {
            self.0.push(b',');
        }
        if serde_json::to_writer(&mut self.0, item).is_err() {
            self.0.truncate(length);
        }
    }

    /// The text of a [`List`].
    pub(crate) fn into_list(self, page: &Page, meta: &Meta) -> serde_json::Result<Vec<u8>> {
        let mut text = b"{\"data\":[".to_vec();
        text.reserve(self.0.len() + LIST_END);
        text.extend_from_slice(&self.0);
        text.extend_from_slice(b"],\"page\":");
        serde_json::to_writer(&mut text, page)?;
        text.extend_from_slice(b",\"meta\":");
        serde_json::to_writer(&mut text, meta)?;
        text.push(b'}');
        Ok(text)
    }
}

/// About how many bytes `page` and `meta` of a list take.
const LIST_END: usize = 512;

/// What was taken for a page, and whether there is more.
pub(crate) struct Taken<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// The key of the last one looked at, where there is more.
    pub(crate) last: Option<Vec<u8>>,
}

/// Takes a page: at most `limit` that match, having looked at no more than `looks`.
pub(crate) fn take<'a, I: 'a, T>(
    rows: impl Iterator<Item = &'a I>,
    (limit, looks): (usize, usize),
    key: impl Fn(&I) -> Vec<u8>,
    matches: impl Fn(&I) -> bool,
    mut view: impl FnMut(&I) -> T,
) -> Taken<T> {
    let mut taken = Taken { items: Vec::new(), last: None };
    let mut latest: Option<&I> = None;
    for (looked, row) in rows.enumerate() {
        if taken.items.len() >= limit || looked >= looks {
            taken.last = latest.map(&key);
            break;
        }
        if matches(row) {
            taken.items.push(view(row));
        }
        latest = Some(row);
    }
    taken
}

/// Hexadecimal after `c_`.
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = |time: Option<Timestamp>| time.map_or(u64::MAX, Timestamp::as_nanos);
        write!(f, "c_{:016x}{:016x}{:016x}", self.filter, time(self.since), time(self.until))?;
        self.key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Cursor {
    fn read(text: &str, filter: u64) -> Result<Self, Problem> {
        let cursor = Self::parse(text).ok_or_else(invalid)?;
        if cursor.filter == filter {
            return Ok(cursor);
        }
        let detail = "The cursor was given for another list or other filters.";
        let hint = "Repeat the filters of the first page, or begin again without a cursor.";
        Err(Problem::new(&kinds::CURSOR_MISMATCH, detail).at("cursor").hint(hint))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = read_hex(text.strip_prefix("c_")?)?;
        let key = (bytes.len() > 24).then(|| bytes.split_off(24))?;
        let word = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let time = |at: usize| {
            Some(word(at)?).map(|n| (n != u64::MAX).then_some(Timestamp::from_nanos(n)))
        };
        Some(Self { filter: word(0)?, since: time(8)?, until: time(16)?, key })
    }
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 2 * (24 + KEY_LENGTH_MAX) {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| Some((digit(*pair.first()?)? << 4 | digit(*pair.last()?)?) as u8)).collect()
}

fn invalid() -> Problem {
    let hint = "Take page.next of an earlier answer unchanged, or begin without a cursor.";
    Problem::new(&kinds::INVALID_CURSOR, "The cursor is not one of this server's.")
        .at("cursor")
        .hint(hint)
}

/// The header `Link` (RFC 8288) to the next page.
pub(crate) fn link(asked: &Asked, page: &Page) -> Option<HeaderValue> {
    let next = page.next.as_deref()?;
    let kept = asked.raw.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query = kept.chain([format!("cursor={next}").as_str()]).collect::<Vec<_>>().join("&");
    let query = query.replace('<', "%3C").replace('>', "%3E");
    HeaderValue::from_str(&format!("<{}?{query}>; rel=\"next\"", asked.path)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_hostile_ones_are_refused() {
        let cursor = Cursor {
            filter: 7,
            since: Some(Timestamp::from_nanos(9)),
            until: None,
            key: vec![1, 2, 255],
        };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor.clone()));
        let long = format!("c_{}", "00".repeat(500));
        for text in ["", "c_", "c_0", "c_zz", "x_00", "c_+0+0", &"c_00".repeat(9), &long, "c_é"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
        assert_eq!(Cursor::parse(&format!("c_{}", "00".repeat(24))), None, "no key");
    }

    #[test]
    fn a_page_ends_at_its_limit_or_its_looks() {
        let rows: Vec<u8> = (0..10).collect();
        let page = |limit, looks, from: u8| {
            let rows = rows.iter().skip_while(move |row| **row < from);
            take(rows, (limit, looks), |row| vec![*row], |row| row % 2 == 0, |row| *row)
        };
        let taken = page(2, 100, 0);
        assert_eq!((taken.items, taken.last), (vec![0, 2], Some(vec![2])));
        let taken = page(2, 3, 3);
        assert_eq!((taken.items, taken.last), (vec![4], Some(vec![5])));
        let taken = page(5, 100, 0);
        assert_eq!((taken.items, taken.last), (vec![0, 2, 4, 6, 8], Some(vec![8])));
        let taken = page(5, 100, 9);
        assert_eq!((taken.items, taken.last), (vec![], None));
    }
}
