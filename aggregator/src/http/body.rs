//! Request bodies: JSON objects of a known shape and size, nothing else.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use serde::de::DeserializeOwned;

use super::Api;
use super::problem::{Problem, kinds};

/// Bytes of a body: the largest is a list of a few addresses.
pub(crate) const BODY_LENGTH_MAX: usize = 64 * 1024;

/// A body that was read.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        // Also what keeps web pages of other origins out: a form cannot send this type.
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_json = essence.eq_ignore_ascii_case("application/json");
        // RFC 7396 section 4; what PATCH takes here is that.
        let is_merge = request.method() == Method::PATCH
            && essence.eq_ignore_ascii_case("application/merge-patch+json");
        if !is_json && !is_merge {
            let detail = format!("The body is '{}'.", essence.chars().take(80).collect::<String>());
            return Err(Problem::new(&kinds::UNSUPPORTED_MEDIA_TYPE, detail)
                .hint("Send 'Content-Type: application/json'."));
        }
        let bytes = to_bytes(request.into_body(), BODY_LENGTH_MAX).await.map_err(unread)?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|cause| Problem::new(&kinds::INVALID_BODY, format!("{cause}.")))
    }
}

fn unread(cause: axum::Error) -> Problem {
    let cause = std::error::Error::source(&cause).map_or_else(String::new, ToString::to_string);
    if cause.contains("length limit") {
        let detail = format!("A body has at most {BODY_LENGTH_MAX} bytes.");
        return Problem::new(&kinds::BODY_TOO_LARGE, detail);
    }
    Problem::new(&kinds::INVALID_BODY, "The body broke off.")
}
