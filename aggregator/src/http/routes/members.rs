//! `/cluster/members`: who belongs to the cluster, and who leads. Any node takes a change to the leader.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardmesh_common::id::NodeId;

use super::cluster::MemberView;
use crate::http::Api;
use crate::http::backend::{ChangeFailure, ChangeFault, MemberChange, MemberChanged, MemberRole};
use crate::http::body::Body;
use crate::http::fresh::{RETRY, applied_at};
use crate::http::problem::{Kind, Problem, ProblemBody, kinds};
use crate::http::query::Asked;

/// How long a snapshot is waited for: below the time limit of a request.
const SNAPSHOT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(25);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(add))
        .routes(routes!(remove))
        .routes(routes!(promote))
        .routes(routes!(replace))
        .routes(routes!(transfer))
        .routes(routes!(snapshot))
}

/// How a member stands after a change.
#[derive(Debug, Serialize, ToSchema)]
struct MemberChangedView {
    #[serde(flatten)]
    member: MemberView,
    /// `voter`, `learner`, `removed` or `leader`.
    role: &'static str,
}

/// A node to take in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    /// Where its Raft endpoint answers, host and port; the member is recorded under the address that
    /// it advertises.
    #[schema(example = "agg-4.example.org:4434")]
    address: String,
    /// Whether it is to vote.
    #[serde(default = "votes")]
    #[schema(default = true)]
    voter: bool,
}

const fn votes() -> bool {
    true
}

/// Takes in an empty node: as a learner first, with a vote once it has caught up. A member that moved
/// is noted under its new addresses.
#[utoipa::path(post, path = "/cluster/members", tag = "cluster", request_body = NewMember,
    responses((status = 201, body = MemberChangedView),
        (status = 202, body = MemberChangedView,
            description = "It is a learner and still catching up: promote it later."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn add(
    State(api): State<Api>,
    asked: Asked,
    Body(new): Body<NewMember>,
) -> Result<Response, Problem> {
    asked.write()?;
    let NewMember { address, voter } = new;
    let change = MemberChange::Add { address: checked(address)?, voter };
    let wanted = if voter { MemberRole::Voter } else { MemberRole::Learner };
    changed(&api, change, (wanted, StatusCode::CREATED)).await
}

/// Takes a member out for good: its id is never used again. A leader hands over first.
#[utoipa::path(delete, path = "/cluster/members/{id}", tag = "cluster",
    params(("id" = u64, Path, description = "The node's id."),
        ("force" = Option<bool>, Query,
            description = "Also where fewer than a majority of those that stay are heard.")),
    responses((status = 200, body = MemberChangedView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn remove(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let force = asked.known(&["force"])?.read::<bool>("force")?.unwrap_or(false);
    let change = MemberChange::Remove { node: node(&id)?, force };
    changed(&api, change, (MemberRole::Removed, StatusCode::OK)).await
}

/// Gives a learner its vote, once it has caught up.
#[utoipa::path(post, path = "/cluster/members/{id}/promote", tag = "cluster",
    params(("id" = u64, Path, description = "The node's id.")),
    responses((status = 200, body = MemberChangedView),
        (status = 202, body = MemberChangedView, description = "It is still catching up."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn promote(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.write()?;
    changed(&api, MemberChange::Promote(node(&id)?), (MemberRole::Voter, StatusCode::OK)).await
}

/// A member's successor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Successor {
    /// Where its Raft endpoint answers, host and port.
    #[schema(example = "agg-4.example.org:4434")]
    address: String,
}

/// Takes an empty node in and a member out in one step, once the new one has caught up; the member's
/// id is never used again.
#[utoipa::path(post, path = "/cluster/members/{id}/replace", tag = "cluster",
    params(("id" = u64, Path, description = "The id of the node that goes.")),
    request_body = Successor,
    responses((status = 200, body = MemberChangedView, description = "The successor."),
        (status = 202, body = MemberChangedView,
            description = "The successor is a learner and still catching up; repeat it later."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn replace(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
    Body(Successor { address }): Body<Successor>,
) -> Result<Response, Problem> {
    asked.write()?;
    let change = MemberChange::Replace { node: node(&id)?, address: checked(address)? };
    changed(&api, change, (MemberRole::Voter, StatusCode::OK)).await
}

/// Who is to lead.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Transfer {
    /// The voter; the one that has most of the log where none is named.
    to: Option<NodeId>,
}

/// Hands leadership over and waits until another node leads.
#[utoipa::path(post, path = "/cluster/transfer-leader", tag = "cluster", request_body = Transfer,
    responses((status = 200, body = MemberChangedView, description = "The new leader."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn transfer(
    State(api): State<Api>,
    asked: Asked,
    Body(Transfer { to }): Body<Transfer>,
) -> Result<Response, Problem> {
    asked.write()?;
    changed(&api, MemberChange::Transfer(to), (MemberRole::Leader, StatusCode::OK)).await
}

/// A snapshot that was built.
#[derive(Debug, Serialize, ToSchema)]
struct SnapshotBuilt {
    /// The node that was asked.
    node_id: NodeId,
    /// The last log index in it.
    index: u64,
}

/// Builds a snapshot on the asked node and purges its log as far as the settings allow.
#[utoipa::path(post, path = "/cluster/snapshot", tag = "cluster",
    responses((status = 200, body = SnapshotBuilt),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn snapshot(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    asked.write()?;
    let building = tokio::time::timeout(SNAPSHOT_PATIENCE, api.backend.snapshot());
    let detail = "The snapshot is still being built.";
    let index = building
        .await
        .map_err(|_| Problem::new(&kinds::TIMED_OUT, detail).retry_after(SNAPSHOT_PATIENCE))?
        .map_err(|error| api.failed(&error))?;
    let node_id = api.backend.status().node_id;
    Ok(Json(SnapshotBuilt { node_id, index }).into_response())
}

fn node(id: &str) -> Result<NodeId, Problem> {
    id.parse().map_err(|_| Problem::parameter("id", "it is a node's number"))
}

/// Whatever leads nowhere is refused here, where it can be named.
fn checked(address: String) -> Result<String, Problem> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(_) => Ok(address),
        None => Err(Problem::field("/address", "It is not of the form host:port")),
    }
}

/// Carries a change out; where the member does not stand as wanted yet, it is accepted only (202).
async fn changed(
    api: &Api,
    change: MemberChange,
    (wanted, status): (MemberRole, StatusCode),
) -> Result<Response, Problem> {
    let changed = api.backend.change_members(change).await;
    let MemberChanged { member, role, index } = changed.map_err(|failure| failed(api, &failure))?;
    let done = role == wanted || wanted == MemberRole::Learner;
    let status = if done { status } else { StatusCode::ACCEPTED };
    let body = Json(MemberChangedView { member: member.into(), role: role.as_str() });
    Ok(applied_at(index, (status, body).into_response()))
}

fn failed(api: &Api, failure: &ChangeFailure) -> Problem {
    let kind: &'static Kind = match failure.fault {
        ChangeFault::NoLeader if api.backend.state().cluster().is_none() => {
            return Problem::not_initialised();
        }
        ChangeFault::UnderWay => &kinds::CHANGE_UNDER_WAY,
        ChangeFault::Unreachable => &kinds::MEMBER_UNREACHABLE,
        ChangeFault::NotEmpty => &kinds::MEMBER_NOT_EMPTY,
        ChangeFault::Retired => &kinds::NODE_ID_RETIRED,
        ChangeFault::AlreadyMember => &kinds::ALREADY_MEMBER,
        ChangeFault::Wiped => &kinds::MEMBER_WIPED,
        ChangeFault::NoSuchMember => &kinds::NOT_FOUND,
        ChangeFault::QuorumAtRisk => &kinds::QUORUM_AT_RISK,
        ChangeFault::Refused => &kinds::REFUSED,
        ChangeFault::Unknown => &kinds::TIMED_OUT,
        ChangeFault::NoLeader => &kinds::NO_LEADER,
    };
    let problem = Problem::new(kind, format!("{}.", capitalised(&failure.detail)));
    let problem = match hint(failure.fault) {
        Some(hint) => problem.hint(hint),
        None => problem,
    };
    if kind.status == 503 { problem.retry_after(RETRY) } else { problem }
}

fn hint(fault: ChangeFault) -> Option<&'static str> {
    Some(match fault {
        ChangeFault::UnderWay => "Repeat it when 'wardmesh cluster members' shows that one done.",
        ChangeFault::Unreachable => {
            "The node must run with a certificate of this cluster, and raft.advertise must lead to it."
        }
        ChangeFault::NotEmpty => "Empty its volume and give it a new node id, then repeat.",
        ChangeFault::Retired => "Give it a new node id and certificate, and an empty volume.",
        ChangeFault::Wiped => {
            "Start it under a new node id, then 'wardmesh cluster replace ID --with ADDRESS'."
        }
        ChangeFault::QuorumAtRisk => "Bring the others back first, or remove those that are lost.",
        ChangeFault::Unknown => "Look at 'wardmesh cluster members'; repeating it does no harm.",
        ChangeFault::NoLeader => "Repeat when a majority of the nodes runs.",
        ChangeFault::AlreadyMember | ChangeFault::NoSuchMember | ChangeFault::Refused => {
            return None;
        }
    })
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
