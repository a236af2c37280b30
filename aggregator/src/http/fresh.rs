//! How fresh an answer is: waits for what the request demands, then says it in headers and `meta`.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::IntoParams;
use wardmesh_common::id::{NodeId, TenantId};

use super::Api;
use super::backend::{Consistency, Freshness, ReadError};
use super::form::{millis, time};
use super::page::{List, Meta, Page, Rows, link};
use super::problem::{Problem, kinds};
use super::query::{Asked, Parameters};
use super::silence::{Now, partial_sites};
use crate::state::State;

const APPLIED_INDEX: HeaderName = HeaderName::from_static("wardmesh-applied-index");
const LEADER: HeaderName = HeaderName::from_static("wardmesh-leader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("wardmesh-last-contact-ms");

/// How long `min_index` waits where the request does not say.
pub(super) const WAIT_DEFAULT: Duration = Duration::from_secs(10);

/// How long it waits at most: below the time limit of a request.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// How often it looks: as long as a person does not notice, and 50 looks a second cost nothing.
const WAIT_STEP: Duration = Duration::from_millis(20);

/// The parameters of every read.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Api::freshen` takes")]
pub(crate) struct ReadParameters {
    /// How much the answer must know: `local` is what this node has applied, `leader` all that the
    /// leader had committed, `linearizable` the same with a quorum's word. Unless the nodes are set to
    /// `raft.lease_reads`, which trusts clocks, a quorum is asked for `leader` too.
    #[param(default = "leader", pattern = "^(local|leader|linearizable)$")]
    consistency: Option<String>,
    /// With `local`: how long ago the leader may have been heard last, such as `5s`.
    max_staleness: Option<String>,
    /// Waits until this log index is applied here: `Wardmesh-Applied-Index` of a write.
    min_index: Option<u64>,
    /// How long to wait for `min_index`.
    #[param(default = "10s")]
    wait: Option<String>,
}

/// What an answer may say of its freshness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh {
    consistency: Consistency,
    leader: Option<NodeId>,
    last_contact: Option<Duration>,
}

impl Api {
    /// Waits until the state may be read as the request demands.
    pub(crate) async fn freshen(
        &self,
        parameters: &Parameters<'_>,
        default: Consistency,
    ) -> Result<Fresh, Problem> {
        let consistency = consistency(parameters)?.unwrap_or(default);
        let ready = self.backend.ready_to_read(consistency).await;
        let Freshness { leader, last_contact } = ready.map_err(|error| self.unready(&error))?;
        if let Some(most) = parameters.span("max_staleness")?
            && last_contact.is_none_or(|since| since > most)
        {
            let detail = format!("As far as this node knows, {}.", heard(last_contact));
            return Err(Problem::new(&kinds::TOO_STALE, detail).at("max_staleness"));
        }
        self.await_index(parameters).await?;
        Ok(Fresh { consistency, leader, last_contact })
    }

    async fn await_index(&self, parameters: &Parameters<'_>) -> Result<(), Problem> {
        let wait = parameters.span("wait")?.unwrap_or(WAIT_DEFAULT).min(WAIT_MAX);
        let Some(wanted) = parameters.read::<u64>("min_index")? else { return Ok(()) };
        self.applied_here(wanted, wait).await.map_err(|problem| problem.at("min_index"))
    }

    /// Waits until this node has applied what was agreed on at an index.
    pub(super) async fn applied_here(&self, wanted: u64, wait: Duration) -> Result<(), Problem> {
        let reached = async {
            while self.backend.state().applied() < wanted {
                tokio::time::sleep(WAIT_STEP).await;
            }
        };
        tokio::time::timeout(wait, reached).await.map_err(|_| {
            let applied = self.backend.state().applied();
            let detail = format!("This node has applied {applied}, not yet {wanted}.");
            Problem::new(&kinds::TIMED_OUT, detail).retry_after(WAIT_DEFAULT)
        })
    }

    fn unready(&self, error: &ReadError) -> Problem {
        let hint = "Repeat with consistency=local to read the last known state.";
        match error {
            ReadError::NoLeader { .. } if self.backend.state().cluster().is_none() => {
                Problem::not_initialised()
            }
            ReadError::NoLeader { last_contact } => {
                let detail = format!("{error}; {}.", heard(*last_contact));
                Problem::new(&kinds::NO_LEADER, detail).hint(hint).retry_after(RETRY)
            }
            ReadError::TimedOut => {
                let detail = format!("{error}.");
                Problem::new(&kinds::TIMED_OUT, detail).hint(hint).retry_after(RETRY)
            }
        }
    }
}

/// When a leader was heard, in words.
fn heard(last_contact: Option<Duration>) -> String {
    last_contact.map_or_else(
        || "no leader was heard since this node started".to_owned(),
        |since| format!("the leader was last heard {since:.1?} ago"),
    )
}

/// An election takes a second or two.
pub(crate) const RETRY: Duration = Duration::from_secs(2);

fn consistency(parameters: &Parameters<'_>) -> Result<Option<Consistency>, Problem> {
    let all = [Consistency::Local, Consistency::Leader, Consistency::Linearizable];
    let Some(text) = parameters.one("consistency")? else { return Ok(None) };
    let known = all.into_iter().find(|known| known.as_str() == text);
    let cause = "it is local, leader or linearizable";
    known.map(Some).ok_or_else(|| Problem::parameter("consistency", cause))
}

impl Fresh {
    /// What sensors' last words are held against.
    pub(crate) fn now(&self, state: &State) -> Now {
        Now::of(state, self.last_contact)
    }

    /// What a list says of itself.
    pub(crate) fn meta(&self, state: &State, tenant: &TenantId) -> Meta {
        Meta {
            as_of: time(state.at()),
            applied_index: state.applied(),
            consistency: self.consistency.as_str(),
            staleness_ms: self.last_contact.map(millis),
            partial_sites: partial_sites(state, tenant, self.now(state)),
            since: None,
            until: None,
            history_from: None,
            missing: None,
        }
    }

    /// The answer to a request for a list.
    pub(crate) fn list<T: Serialize>(
        &self,
        asked: &Asked,
        data: Vec<T>,
        page: Page,
        meta: Meta,
    ) -> Response {
        let (applied, link) = (meta.applied_index, link(asked, &page));
        let mut response = self.one(applied, List { data, page, meta });
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }

    /// The same, of items that are text already.
    pub(crate) fn list_of(
        &self,
        asked: &Asked,
        rows: Rows,
        page: &Page,
        meta: &Meta,
    ) -> Result<Response, Problem> {
        let text = rows.into_list(page, meta);
        let text = text.map_err(|cause| Problem::new(&kinds::INTERNAL, cause.to_string()))?;
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = self.marked(meta.applied_index, (kind, text).into_response());
        if let Some(link) = link(asked, page) {
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }

    /// The answer to a request for one thing.
    pub(crate) fn one(&self, applied: u64, body: impl Serialize) -> Response {
        self.marked(applied, Json(body).into_response())
    }

    fn marked(&self, applied: u64, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(APPLIED_INDEX, HeaderValue::from(applied));
        if let Some(leader) = self.leader {
            headers.insert(LEADER, HeaderValue::from(leader));
        }
        if let Some(since) = self.last_contact {
            headers.insert(LAST_CONTACT, HeaderValue::from(millis(since)));
        }
        response
    }
}

/// Names the log index that a write was agreed on at.
pub(crate) fn applied_at(index: u64, mut response: Response) -> Response {
    response.headers_mut().insert(APPLIED_INDEX, HeaderValue::from(index));
    response
}
