//! `PATCH /findings/{id}`: what people decide about a finding, against the revision that they saw.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use wardmesh_common::id::FindingId;

use super::view::FindingView;
use super::{find, read_id};
use crate::http::Api;
use crate::http::auth::Role;
use crate::http::body::Body;
use crate::http::conditional::expected;
use crate::http::fresh::{WAIT_DEFAULT, applied_at};
use crate::http::problem::{Problem, ProblemBody, kinds};
use crate::http::propose::refused;
use crate::http::query::Asked;
use crate::state::command::{Action, UpdateFinding};
use crate::state::findings::{ASSIGNEE_LENGTH_MAX, NOTE_LENGTH_MAX, Status};
use crate::state::receipt::Receipt;

/// What is to change: members that are left out stay, `null` takes away (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindingChange {
    /// `open`, `ack`, `in_progress`, `suppressed` or `resolved`.
    #[serde(default)]
    #[schema(example = "resolved")]
    status: Option<String>,
    /// Who sees to it, at most 128 bytes.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "biomed on call")]
    assignee: Option<Option<String>>,
    /// What people say of it, at most 2,000 bytes. No names of patients.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "The pump was moved to ward 7 on purpose.")]
    note: Option<Option<String>>,
}

/// `null` is a value, other than nothing.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Changes status, assignee or note of a finding, if it still has the revision that was read.
#[utoipa::path(patch, path = "/findings/{id}", tag = "findings", request_body(content(
        (FindingChange = "application/json"), (FindingChange = "application/merge-patch+json"))),
    params(("id" = String, Path, description = "Its id."),
        ("If-Match" = String, Header, description = "The ETag that was read, or a revision in quotes; \
            `*` for any. Only its revision is compared: what is merely counted on does not stand in the \
            way.")),
    responses((status = 200, body = FindingView, headers(("ETag" = String,
            description = "The version that the answer shows."))),
        (status = 412, body = ProblemBody, content_type = "application/problem+json",
            description = "`stale`: it has another revision, which is in `revision`."),
        (status = 428, body = ProblemBody, content_type = "application/problem+json",
            description = "`precondition-required`: the header If-Match is missing."),
        (status = 503, body = ProblemBody, content_type = "application/problem+json",
            description = "With `timed-out` it may still be changed: read before repeating."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    asked: Asked,
    Body(change): Body<FindingChange>,
) -> Result<Response, Problem> {
    asked.write()?;
    let id = read_id(&id)?;
    let update = update(&asked, id, expected(&headers)?, change)?;
    let tenant = update.tenant.clone();
    let (receipt, index) = api.agree(Action::UpdateFinding(update)).await?;
    match receipt {
        Receipt::Updated { .. } => {}
        Receipt::Stale { revision } => {
            let detail = format!("Finding '{id}' has revision {revision}; nothing was changed.");
            return Err(Problem::new(&kinds::STALE, detail).revision(revision));
        }
        Receipt::NotFound => return Err(Problem::no_such("finding", id)),
        other => return Err(refused(other)),
    }
    api.applied_here(index, WAIT_DEFAULT).await?;
    let (view, tag) = find(&api.backend.state(), &tenant, id)?;
    // If-None-Match is for reads (RFC 9110 section 13.1.2).
    Ok(applied_at(index, tag.on(Json(view).into_response(), &HeaderMap::new())))
}

fn update(
    asked: &Asked,
    finding: FindingId,
    expected: Vec<u64>,
    change: FindingChange,
) -> Result<UpdateFinding, Problem> {
    let FindingChange { status, assignee, note } = change;
    if status.is_none() && assignee.is_none() && note.is_none() {
        let detail = "The body changes nothing: it takes status, assignee and note.";
        return Err(Problem::new(&kinds::INVALID_BODY, detail));
    }
    Ok(UpdateFinding {
        tenant: asked.principal.tenant.clone(),
        finding,
        expected,
        status: status.as_deref().map(read_status).transpose()?,
        assignee: text("/assignee", assignee, ASSIGNEE_LENGTH_MAX)?,
        note: text("/note", note, NOTE_LENGTH_MAX)?,
        by: match asked.principal.role {
            Role::Admin => "admin".to_owned(),
            Role::Host | Role::Anyone => "host".to_owned(),
        },
    })
}

fn read_status(word: &str) -> Result<Status, Problem> {
    let known = Status::ALL.iter().find(|status| status.as_str() == word);
    known.copied().ok_or_else(|| {
        let words: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        Problem::field("/status", format!("it takes {}", words.join(", ")))
    })
}

/// A text to set, `null` as an empty one.
fn text(
    pointer: &str,
    text: Option<Option<String>>,
    length_max: usize,
) -> Result<Option<String>, Problem> {
    let text = text.map(Option::unwrap_or_default);
    match text.as_ref().map(String::len).filter(|length| *length > length_max) {
        None => Ok(text),
        Some(length) => {
            let detail = format!("It has at most {length_max} bytes.");
            let problem = Problem::new(&kinds::INVALID_BODY, detail);
            Err(problem.over(pointer, length_max as u64, length as u64))
        }
    }
}
