//! Every error of this API as `application/problem+json` (RFC 9457), from one table of kinds.
//!
//! A kind has a page under `/docs/errors`. The body is made in `layers`, which knows the request.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) mod kinds;

/// One kind of error: stable by its code.
#[derive(Debug)]
pub(crate) struct Kind {
    /// What a client decides by, and the page's name.
    pub(crate) code: &'static str,
    /// The HTTP status (RFC 9110 section 15).
    pub(crate) status: u16,
    /// One line, the same for each occurrence.
    pub(crate) title: &'static str,
    /// The page: what it means and what to do.
    pub(crate) page: &'static str,
}

/// One occurrence of an error.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: &'static Kind,
    detail: String,
    hint: Option<Cow<'static, str>>,
    faults: Vec<Fault>,
    retry_after: Option<Duration>,
    revision: Option<u64>,
}

/// What is wrong with one part of the request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// The parameter's name, or a JSON pointer (RFC 6901) into the body.
    pub(crate) pointer: String,
    /// What is wrong with it.
    pub(crate) detail: String,
    /// The most that is allowed, where it is about a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
    /// What was asked for, where it is about a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actual: Option<u64>,
}

/// The body of an error answer (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Where this kind of error is explained: a path on this server.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of error in one line.
    title: &'a str,
    /// The HTTP status code.
    status: u16,
    /// A stable name of the kind, to decide by.
    code: &'a str,
    /// What happened this time.
    detail: &'a str,
    /// The path that was asked for.
    instance: &'a str,
    /// Names this request in the node's log.
    request_id: &'a str,
    /// A way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// The parts of the request that are at fault.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    /// With `stale`: the revision that it has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

impl Problem {
    pub(crate) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        let (hint, faults) = (None, Vec::new());
        Self { kind, detail: detail.into(), hint, faults, retry_after: None, revision: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Names the revision that is there instead.
    pub(crate) fn revision(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Names the part of the request that is at fault, with the same words.
    pub(crate) fn at(mut self, pointer: &str) -> Self {
        let (pointer, detail) = (pointer.to_owned(), self.detail.clone());
        self.faults.push(Fault { pointer, detail, limit: None, actual: None });
        self
    }

    /// Names a limit that was passed.
    pub(crate) fn over(mut self, pointer: &str, limit: u64, actual: u64) -> Self {
        let (pointer, detail) = (pointer.to_owned(), self.detail.clone());
        self.faults.push(Fault { pointer, detail, limit: Some(limit), actual: Some(actual) });
        self
    }

    /// A parameter's value that cannot be read.
    pub(crate) fn parameter(name: &str, cause: impl std::fmt::Display) -> Self {
        Self::new(&kinds::INVALID_PARAMETER, format!("{name}: {cause}.")).at(name)
    }

    /// A member of the body that cannot be read.
    pub(crate) fn field(pointer: &str, cause: impl std::fmt::Display) -> Self {
        Self::new(&kinds::INVALID_BODY, format!("{cause}.")).at(pointer)
    }

    /// Something that does not exist.
    pub(crate) fn no_such(thing: &str, id: impl std::fmt::Display) -> Self {
        Self::new(&kinds::NOT_FOUND, format!("There is no {thing} '{id}'."))
    }

    /// A request that needs a cluster where none was founded yet.
    pub(crate) fn not_initialised() -> Self {
        Self::new(&kinds::NOT_INITIALISED, "No cluster was founded with this node.")
            .hint("Run 'wardmesh cluster init', or POST /api/v1/cluster/init, on one node, once.")
    }

    pub(crate) fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The whole answer, for a request.
    pub(crate) fn render(&self, instance: &str, request_id: &str) -> Response<Body> {
        let body = ProblemBody {
            kind: format!("/docs/errors/{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status,
            code: self.kind.code,
            detail: &self.detail,
            instance,
            request_id,
            hint: self.hint.as_deref(),
            errors: &self.faults,
            revision: self.revision,
        };
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.kind.status == 401 {
            let scheme = HeaderValue::from_static("Bearer realm=\"wardmesh\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Only the status and the problem itself: `layers` makes the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
