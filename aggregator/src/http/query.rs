//! Query parameters: what a route does not know is refused, never ignored, since an ignored filter
//! silently widens the answer.

use std::fmt::Display;
use std::hash::{BuildHasher, Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRequestParts, OriginalUri, Query};
use axum::http::request::Parts;
use wardmesh_common::map::HashKey;
use wardmesh_common::text::distance;
use wardmesh_common::time::Timestamp;

use super::Api;
use super::auth::Principal;
use super::problem::{Problem, kinds};

/// Parameters in one request: more than any list of filters a person or a tool sends.
const PARAMETERS_MAX: usize = 128;

/// Parameters of every route that reads.
const OF_READS: &[&str] = &["consistency", "max_staleness", "min_index", "wait"];

/// Parameters of every list.
const OF_LISTS: &[&str] = &["limit", "cursor"];

/// What is asked and by whom.
pub(crate) struct Asked {
    /// By whom.
    pub(crate) principal: Principal,
    /// The path as it was asked for.
    pub(crate) path: String,
    /// The query as it was written.
    pub(crate) raw: String,
    pairs: Vec<(String, String)>,
}

impl FromRequestParts<Api> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let principal = parts.extensions.get::<Principal>().cloned();
        let principal = principal
            .ok_or_else(|| Problem::new(&kinds::INTERNAL, "The request passed no principal."))?;
        // Below a prefix the router shortens the URI.
        let original = parts.extensions.get::<OriginalUri>();
        let uri = original.map_or(&parts.uri, |original| &original.0);
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let pairs = pairs.map(|Query(pairs)| pairs).map_err(|cause| {
            Problem::new(&kinds::INVALID_PARAMETER, format!("The query cannot be read: {cause}."))
        })?;
        if pairs.len() > PARAMETERS_MAX {
            let detail = format!("A request has at most {PARAMETERS_MAX} parameters.");
            let (limit, actual) = (PARAMETERS_MAX as u64, pairs.len() as u64);
            return Err(
                Problem::new(&kinds::INVALID_PARAMETER, detail).over("query", limit, actual)
            );
        }
        let raw = uri.query().unwrap_or_default().to_owned();
        Ok(Self { principal, path: uri.path().to_owned(), raw, pairs })
    }
}

impl Asked {
    /// The parameters of a list with filters.
    pub(crate) fn list(&self, filters: &[&str]) -> Result<Parameters<'_>, Problem> {
        self.known(&[filters, OF_LISTS, OF_READS].concat())
    }

    /// The parameters of a read of one thing.
    pub(crate) fn read(&self, own: &[&str]) -> Result<Parameters<'_>, Problem> {
        self.known(&[own, OF_READS].concat())
    }

    /// For a write: none.
    pub(crate) fn write(&self) -> Result<Parameters<'_>, Problem> {
        self.known(&[])
    }

    /// Where a parameter is not among these, an error that names the nearest.
    pub(crate) fn known(&self, known: &[&str]) -> Result<Parameters<'_>, Problem> {
        let strange = self.pairs.iter().find(|(name, _)| !known.contains(&name.as_str()));
        let Some((name, _)) = strange else { return Ok(Parameters(&self.pairs)) };
        let name: String = name.chars().take(80).collect();
        let detail = format!("Unknown parameter '{name}'.");
        let problem = Problem::new(&kinds::UNKNOWN_PARAMETER, detail).at(&name);
        Err(match (nearest(&name, known), known) {
            (Some(nearest), _) => problem.hint(format!("Did you mean '{nearest}'?")),
            (None, []) => problem.hint("This route takes no parameters."),
            (None, known) => problem.hint(format!("It takes {}.", known.join(", "))),
        })
    }
}

/// Parameters that the route knows.
pub(crate) struct Parameters<'a>(&'a [(String, String)]);

impl<'a> Parameters<'a> {
    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// The value of a parameter that is given at most once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        let mut values = self.all(name);
        let value = values.next();
        let once = values.next().is_none();
        once.then_some(value).ok_or_else(|| Problem::parameter(name, "it is given more than once"))
    }

    /// All values of a parameter that has a closed set of them.
    pub(crate) fn all_of(&self, name: &str, known: &[&str]) -> Result<Vec<&'a str>, Problem> {
        let values: Vec<&str> = self.all(name).collect();
        let Some(strange) = values.iter().find(|value| !known.contains(value)) else {
            return Ok(values);
        };
        let strange: String = strange.chars().take(80).collect();
        let problem = Problem::parameter(name, format!("there is no '{strange}'"));
        Err(problem.hint(format!("It takes {}.", known.join(", "))))
    }

    /// All values of a parameter, read.
    pub(crate) fn all_read<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let read = |value: &str| value.parse().map_err(|cause| Problem::parameter(name, cause));
        self.all(name).map(read).collect()
    }

    /// The value of a parameter that is given at most once, read.
    pub(crate) fn read<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let read = |value: &str| value.parse().map_err(|cause| Problem::parameter(name, cause));
        self.one(name)?.map(read).transpose()
    }

    /// A point in time: RFC 3339, or a span before `now` such as `-24h`.
    pub(crate) fn time(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        if let Some(span) = text.strip_prefix('-') {
            return Ok(Some(now.minus(read_span(name, span)?)));
        }
        // A plus sign of an offset that was not percent-encoded arrives as a space.
        let time = text.replace(' ', "+").parse();
        time.map(Some).map_err(|cause| {
            Problem::parameter(name, format!("{cause}, nor a span before now such as -24h"))
        })
    }

    /// A span of time such as `5s`.
    pub(crate) fn span(&self, name: &str) -> Result<Option<Duration>, Problem> {
        self.one(name)?.map(|text| read_span(name, text)).transpose()
    }

    /// A hash of what selects the items of a list: not of its paging or consistency.
    pub(crate) fn filter_hash(&self, route: &str) -> u64 {
        let selects = |name: &str| !OF_LISTS.contains(&name) && !OF_READS.contains(&name);
        let mut filters: Vec<_> = self.0.iter().filter(|(name, _)| selects(name)).collect();
        filters.sort();
        let mut hasher = HashKey::default().build_hasher();
        route.hash(&mut hasher);
        filters.hash(&mut hasher);
        hasher.finish()
    }
}

fn read_span(name: &str, text: &str) -> Result<Duration, Problem> {
    span(text).ok_or_else(|| {
        let text: String = text.chars().take(80).collect();
        Problem::parameter(name, format!("'{text}' is not a span such as 90s, 15m, 24h or 7d"))
    })
}

/// A whole number and `ms`, `s`, `m`, `h` or `d`.
fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(digits)?;
    let count: u64 = count.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(count)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// The known name that a text was probably meant to be: off by a third of its letters at most.
fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let nearest = known.iter().min_by_key(|known| distance(text, known))?;
    (distance(text, nearest) <= text.len().max(3) / 3 + 1).then_some(*nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        let cases = [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800)];
        for (text, seconds) in cases {
            assert_eq!(span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(span("20ms"), Some(Duration::from_millis(20)));
        for text in ["", "s", "24", "1.5h", "-1h", "1w", "99999999999999999999s", "ä"] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_finds_its_name() {
        let known = ["site", "class", "vendor", "seen_since"];
        assert_eq!(nearest("vendr", &known), Some("vendor"));
        assert_eq!(nearest("sites", &known), Some("site"));
        assert_eq!(nearest("colour-of-the-wall", &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
