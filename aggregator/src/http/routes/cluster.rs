//! `/cluster`: where this node and the others stand, the digest to compare them by, and the founding.
//!
//! Answers with what this node knows by itself unless more is asked for: it is read when things are
//! broken.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardmesh_common::id::NodeId;

use crate::http::Api;
use crate::http::backend::{
    ClusterStatus, Consistency, InitError, InitRequest, Member, MemberStatus, Reading,
};
use crate::http::body::Body;
use crate::http::form::{hex, millis, time};
use crate::http::fresh::{RETRY, ReadParameters};
use crate::http::page::{LIMIT_MAX, List, Page};
use crate::http::problem::{Problem, ProblemBody, kinds};
use crate::http::query::Asked;
use crate::state::digest::{DIGESTS_MAX, Digest};
use crate::state::retired::RetiredNode;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(cluster)).routes(routes!(members)).routes(routes!(init))
}

/// Where a node stands.
#[derive(Debug, Serialize, ToSchema)]
struct ClusterView {
    /// The cluster's UUID; null before it was founded. Left out where a digest is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<Option<String>>,
    /// This node.
    node_id: NodeId,
    /// The leader that it knows.
    leader: Option<NodeId>,
    /// The Raft term.
    term: u64,
    /// The latest log index that it knows to be committed. Left out where a digest is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<u64>,
    /// The latest log index that it applied.
    applied: u64,
    /// All members. Left out where a digest is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<MemberView>>,
    /// All nodes that ever left; their ids are never used again. Left out where a digest is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<Vec<RetiredView>>,
    /// What its state comes to.
    digest: DigestView,
}

/// A node that left the cluster.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetiredNode)]
struct RetiredView {
    /// Its id.
    id: NodeId,
    /// When it left.
    at: String,
}

impl From<&RetiredNode> for RetiredView {
    fn from(node: &RetiredNode) -> Self {
        Self { id: node.id, at: time(node.at) }
    }
}

/// What the state after a log index comes to: equal on all nodes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Digest)]
struct DigestView {
    /// The log index.
    index: u64,
    /// The sum of the keyed hashes of all entities: 16 hexadecimal digits.
    value: String,
}

impl From<Digest> for DigestView {
    fn from(digest: Digest) -> Self {
        Self { index: digest.index, value: hex(digest.value) }
    }
}

/// A node of the cluster.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(super) struct MemberView {
    /// Its id, never used again after its removal.
    id: NodeId,
    /// Its name for people.
    name: String,
    /// Where its peers reach it.
    raft_address: String,
    /// Where sensors reach it.
    ingest_address: String,
    /// Where this API answers.
    http_address: String,
    /// Whether it has a vote.
    voter: bool,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            id: member.id,
            name: member.name,
            raft_address: member.raft_address,
            ingest_address: member.ingest_address,
            http_address: member.http_address,
            voter: member.voter,
        }
    }
}

/// Where this node stands. With `digest_at` only what is needed to compare nodes.
#[utoipa::path(get, path = "/cluster", tag = "cluster",
    params(
        ("digest_at" = Option<String>, Query,
            description = "A log index: answered with the latest digest at or before it, the same on \
                           every node; or `latest`. A node keeps its latest 1,024."),
        ReadParameters),
    responses((status = 200, body = ClusterView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn cluster(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let parameters = asked.read(&["digest_at"])?;
    let wanted = parameters.one("digest_at")?;
    let fresh = api.freshen(&parameters, Consistency::Local).await?;
    let ClusterStatus { node_id, leader, term, committed, members, .. } = api.backend.status();
    let state = api.backend.state();
    let digest = digest(&state, wanted)?.into();
    let applied = state.applied();
    let whole = wanted.is_none();
    let view = ClusterView {
        cluster: whole.then(|| state.cluster().map(|id| id.to_string())),
        node_id,
        leader,
        term,
        // Read before the state, which may have gone on since.
        committed: whole.then(|| committed.max(applied)),
        applied,
        members: whole.then(|| members.into_iter().map(MemberView::from).collect()),
        retired: whole.then(|| state.retired_nodes().map(RetiredView::from).collect()),
        digest,
    };
    Ok(fresh.one(applied, view))
}

fn digest(state: &Reading<'_>, wanted: Option<&str>) -> Result<Digest, Problem> {
    let Some(text) = wanted.filter(|text| *text != "latest") else { return Ok(state.digest()) };
    let cause = "it is a log index or 'latest'";
    let index = text.parse().map_err(|_| Problem::parameter("digest_at", cause))?;
    state.digest_at(index).ok_or_else(|| {
        let applied = state.applied();
        let detail = format!(
            "This node has applied {applied} and keeps its latest {DIGESTS_MAX} digests; none of them \
             is of {index}."
        );
        let problem = Problem::new(&kinds::DIGEST_NOT_KEPT, detail).at("digest_at");
        if index > applied { problem.hint("Add min_index to wait for it.") } else { problem }
    })
}

/// A member and how far it came.
#[derive(Debug, Serialize, ToSchema)]
struct MemberStatusView {
    #[serde(flatten)]
    member: MemberView,
    /// `leader`, `follower` or `learner`.
    role: &'static str,
    /// The latest log index that it is known to hold; null where this node does not know.
    matched: Option<u64>,
    /// Entries that it is behind the leader's commit index.
    lag: Option<u64>,
    /// Milliseconds since it was last heard.
    last_contact_ms: Option<u64>,
}

impl MemberStatusView {
    fn of(status: MemberStatus, committed: u64) -> Self {
        let role = match (status.leads, status.member.voter) {
            (true, _) => "leader",
            (false, true) => "follower",
            (false, false) => "learner",
        };
        Self {
            member: status.member.into(),
            role,
            matched: status.matched,
            lag: status.matched.map(|matched| committed.saturating_sub(matched)),
            last_contact_ms: status.last_contact.map(millis),
        }
    }
}

/// Where every member stands, as far as is known here.
#[utoipa::path(get, path = "/cluster/members", tag = "cluster", params(ReadParameters),
    responses((status = 200, body = List<MemberStatusView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn members(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let fresh = api.freshen(&asked.read(&[])?, Consistency::Local).await?;
    let committed = api.backend.status().committed;
    let members = api.backend.members().await;
    let views = members.into_iter().map(|member| MemberStatusView::of(member, committed)).collect();
    let state = api.backend.state();
    let page = Page { next: None, limit: LIMIT_MAX };
    Ok(fresh.list(&asked, views, page, fresh.meta(&state, &asked.principal.tenant)))
}

/// How to found a cluster.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct NewCluster {
    /// How many nodes must be found before the cluster is founded.
    #[schema(example = 3)]
    expect: Option<u32>,
    /// Raft addresses of all nodes, this one included, host and port; empty: this node's own.
    seeds: Vec<String>,
}

/// A cluster that was just founded.
#[derive(Serialize, ToSchema)]
struct ClusterFounded {
    /// Its UUID.
    cluster: String,
    /// The admin token: shown this once, kept nowhere.
    admin_token: String,
}

/// What to do where a cluster is there and nobody has its admin token.
const NO_TOKEN: &str = "If its admin token was never shown: a node on which an init ended without an \
    answer shows it when it is asked for the same again before it is restarted.";

/// Founds the cluster: once, on one node. Never happens by itself. Where no answer came, the same
/// request to the same node is safe.
#[utoipa::path(post, path = "/cluster/init", tag = "cluster", request_body = NewCluster,
    responses((status = 201, body = ClusterFounded),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn init(
    State(api): State<Api>,
    asked: Asked,
    Body(new): Body<NewCluster>,
) -> Result<Response, Problem> {
    asked.write()?;
    let request = InitRequest { expect: new.expect, seeds: new.seeds };
    let founded = api.backend.initialise(request).await.map_err(|error| {
        let detail = format!("{error}.");
        match error {
            InitError::Exists { .. } => {
                Problem::new(&kinds::ALREADY_INITIALISED, detail).hint(NO_TOKEN)
            }
            InitError::Refused(_) => Problem::new(&kinds::REFUSED, detail),
            InitError::Unknown(_) => {
                let problem = Problem::new(&kinds::FOUNDING_UNKNOWN, detail).retry_after(RETRY);
                problem.hint("Ask this node for the same again, before it is restarted.")
            }
            InitError::Unreachable(_) => {
                Problem::new(&kinds::UNAVAILABLE, detail).retry_after(RETRY)
            }
        }
    })?;
    let (cluster, admin_token) = (founded.cluster.to_string(), founded.admin_token);
    let body = axum::Json(ClusterFounded { cluster, admin_token });
    Ok((StatusCode::CREATED, body).into_response())
}
