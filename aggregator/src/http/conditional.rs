//! Entity tags (RFC 9110 sections 8.8.3 and 13.1): which version of one thing an answer shows, and which
//! one a change is meant for.
//!
//! A tag is `"<revision>-<hash>"`. The hash is of all that the thing is, so that the tag is strong; a
//! change is held against the revision alone, which what is merely counted does not move.

use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::problem::{Problem, kinds};

/// Tags in one header: a client has read a few versions at most.
const TAGS_MAX: usize = 8;

/// What no thing has: revisions count from 1.
const NEVER: u64 = 0;

/// The version of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Counts what somebody decides by.
    pub(crate) revision: u64,
    /// Of all that it is.
    pub(crate) hash: u64,
}

impl Tag {
    fn text(self) -> String {
        format!("{}-{:016x}", self.revision, self.hash)
    }

    /// The answer with its tag; without its body where the client has this version already.
    pub(crate) fn on(self, mut response: Response, asked: &HeaderMap) -> Response {
        let text = self.text();
        let known = tags(asked, &IF_NONE_MATCH).is_ok_and(|tags| match tags {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Of(tags)) => tags.iter().any(|(_, tag)| *tag == text),
        });
        if known {
            let headers = std::mem::take(response.headers_mut());
            response = StatusCode::NOT_MODIFIED.into_response();
            let kept = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
            response
                .headers_mut()
                .extend(kept.filter(|(name, _)| !name.as_str().starts_with("content-")));
        }
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{text}\"")) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

/// The revisions of which a change demands one; none for `*`, which takes any. A weak tag or another's
/// names a revision that nothing has (RFC 9110 section 13.1.1: the comparison is strong).
pub(crate) fn expected(asked: &HeaderMap) -> Result<Vec<u64>, Problem> {
    match tags(asked, &IF_MATCH)? {
        None => Err(Problem::new(&kinds::PRECONDITION_REQUIRED, "The header If-Match is missing.")
            .hint("Send the ETag that you read, or '*' to change whatever is there.")),
        Some(Tags::Any) => Ok(Vec::new()),
        Some(Tags::Of(tags)) => Ok(tags.iter().map(|(weak, tag)| revision(*weak, tag)).collect()),
    }
}

/// The revision that a tag names; the revision alone does too.
fn revision(weak: bool, tag: &str) -> u64 {
    let digits = tag.split('-').next().unwrap_or_default();
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if weak || !plain { NEVER } else { digits.parse().unwrap_or(NEVER) }
}

/// What a condition names.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// Tags, and whether each is weak.
    Of(Vec<(bool, String)>),
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let unread = |why: &str| Problem::parameter(name.as_str(), why);
    let mut all = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| unread("it is not ASCII"))?.trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (tag, after) = entity_tag(rest).ok_or_else(|| unread("it takes \"tag\" or *"))?;
            all.push(tag);
            rest = after;
        }
        if all.len() > TAGS_MAX {
            return Err(unread(&format!("it names at most {TAGS_MAX} tags")));
        }
    }
    Ok((!all.is_empty()).then_some(Tags::Of(all)))
}

/// The first tag of a list, and what comes behind its comma.
fn entity_tag(text: &str) -> Option<((bool, String), &str)> {
    let (weak, opened) = match text.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (tag, behind) = opened.strip_prefix('"')?.split_once('"')?;
    let behind = behind.trim_start();
    let after = if behind.is_empty() { behind } else { behind.strip_prefix(',')?.trim_start() };
    Some(((weak, tag.to_owned()), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_condition_is_read_as_rfc_9110_has_it() {
        let cases: &[(&[&str], Option<&[u64]>)] = &[
            (&["*"], Some(&[])),
            (&["\"7-00000000000000ff\""], Some(&[7])),
            (&["\"7\""], Some(&[7])),
            (&["\"7\", \"8-a\" ,\"x\""], Some(&[7, 8, 0])),
            (&["\"7\"", "\"9\""], Some(&[7, 9])),
            (&["W/\"7\""], Some(&[0])),
            (&["\"+7\""], Some(&[0])),
            (&["\"99999999999999999999\""], Some(&[0])),
            (&["\"\""], Some(&[0])),
            (&[], None),
            (&[""], None),
            (&["7"], None),
            (&["\"7"], None),
            (&["\"7\" \"8\""], None),
            (&["\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\""], None),
        ];
        for (values, wanted) in cases {
            let read = expected(&headers(&IF_MATCH, values)).ok();
            assert_eq!(read.as_deref(), *wanted, "{values:?}");
        }
    }

    #[test]
    fn who_has_it_already_gets_no_body() {
        let tag = Tag { revision: 7, hash: 255 };
        let (same, any) = ("\"1-0\", \"7-00000000000000ff\"", "*");
        for (value, status) in [(same, 304), (any, 304), ("\"7\"", 200), ("broken", 200)] {
            let answer = tag.on("body".into_response(), &headers(&IF_NONE_MATCH, &[value]));
            assert_eq!(answer.status(), status, "{value}");
            assert_eq!(answer.headers()[ETAG], "\"7-00000000000000ff\"");
            assert_eq!(answer.headers().contains_key("content-type"), status == 200);
        }
    }
}
