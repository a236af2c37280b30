//! A node with a small state and a store that is a list, and a client for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use wardmesh_common::event::{Counter, Event};
use wardmesh_common::id::{ClusterId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::wire::Lane;

use crate::http::backend::{
    Answered, ChangeFailure, ChangeFault, EventsError, MemberChange, MemberChanged, MemberRole,
};
use crate::http::backend::{
    Backend, Check, ClusterStatus, Consistency, Founded, Freshness, InitError, InitRequest, Member,
    MemberStatus, ProposeError, ReadError, Reading,
};
use crate::state::State;
use crate::state::command::{Action, Command};
use crate::state::receipt::Receipt;
use crate::state::testkit::{Fleet, at, from_ip, says, sensor, sighting, site};
use crate::store::{EventPage, EventQuery, EventRef, StoredEvent};

pub(super) const TOKEN: &str = "correct-horse";

/// What the node answers with; tests change it.
pub(super) struct Fake {
    pub(super) state: Mutex<State>,
    pub(super) stored: Vec<StoredEvent>,
    pub(super) leaderless: bool,
    pub(super) last_contact: Option<Duration>,
    pub(super) propose: Option<ProposeError>,
    pub(super) panics: bool,
    pub(super) ready: bool,
    pub(super) founded: bool,
    pub(super) asked: Mutex<Vec<EventQuery>>,
    pub(super) changes: Mutex<Vec<MemberChange>>,
    pub(super) changed: Result<MemberRole, ChangeFault>,
    pub(super) answered: Mutex<Vec<(String, u16)>>,
}

/// Two sites with a sensor each; seven stations, one of which was at both.
pub(super) fn fake() -> Fake {
    let mut fleet = Fleet { state: State::new(), now: at(86_400) };
    let admin_token = Sha256::digest(TOKEN.as_bytes()).into();
    let (cluster, key) = (ClusterId([9; 16]), HashKey([7; 16]));
    fleet.apply(Action::Found { cluster, key, admin_token });
    for (number, name) in [(1, "north"), (2, "south")] {
        fleet.define(name);
        fleet.enrol(number, name);
        fleet.open(number, u64::from(number), &[]);
    }
    let mut stored = Vec::new();
    let mut north = fleet.feed(1);
    for station in 1..=6_u8 {
        let mac = format!("00:09:fb:00:00:{station:02x}");
        let name = if station == 1 {
            "dhcp.hostname=<script>alert(\"1\")</script>"
        } else {
            "dhcp.hostname=pump"
        };
        let event = from_ip(says(&mac, u64::from(station), &[name]), [10, 0, 0, station]);
        fleet.hear(&mut north, std::slice::from_ref(&event));
        stored.push(store(&fleet.state, 1, u64::from(station), event));
    }
    let mut south = fleet.feed(2);
    let event = sighting("00:09:fb:00:00:01", 4_000);
    fleet.hear(&mut south, std::slice::from_ref(&event));
    stored.push(store(&fleet.state, 2, 1, event));
    Fake {
        state: Mutex::new(fleet.state),
        stored,
        leaderless: false,
        last_contact: Some(Duration::from_millis(420)),
        propose: None,
        panics: false,
        ready: true,
        founded: true,
        asked: Mutex::default(),
        changes: Mutex::default(),
        changed: Ok(MemberRole::Voter),
        answered: Mutex::default(),
    }
}

fn store(state: &State, number: u8, seq: u64, mut event: Event) -> StoredEvent {
    event.counters.push(Counter { key: "packets".into(), value: 3 });
    StoredEvent {
        reference: EventRef { index: state.applied(), ordinal: 0, position: 0 },
        site: site(if number == 1 { "north" } else { "south" }),
        sensor: sensor(number),
        epoch: u64::from(number),
        lane: Lane::Bulk,
        seq,
        received_at: state.at(),
        interface: "eth0".to_owned(),
        device: None,
        event,
    }
}

fn member(id: u64) -> Member {
    Member {
        id,
        name: format!("agg-{id}"),
        raft_address: format!("127.0.0.1:{}", 4434 + id),
        ingest_address: format!("127.0.0.1:{}", 5433 + id),
        http_address: format!("127.0.0.1:{}", 8443 + id),
        voter: true,
    }
}

impl Backend for Fake {
    fn ready_to_read(&self, wanted: Consistency) -> BoxFuture<'_, Result<Freshness, ReadError>> {
        assert!(!self.panics, "as the test wants it");
        let last_contact = self.last_contact;
        let error = self.leaderless && wanted != Consistency::Local;
        let fresh = Freshness { leader: (!self.leaderless).then_some(2), last_contact };
        let answer = if error { Err(ReadError::NoLeader { last_contact }) } else { Ok(fresh) };
        async { answer }.boxed()
    }

    fn state(&self) -> Reading<'_> {
        Box::new(self.state.lock())
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, EventsError>> {
        self.asked.lock().push(query.clone());
        let wanted = |stored: &&StoredEvent| {
            query.after.is_none_or(|after| stored.reference > after)
                && query.sensor.is_none_or(|sensor| stored.sensor == sensor)
                && query.site.as_ref().is_none_or(|site| stored.site == *site)
        };
        let events: Vec<_> = self.stored.iter().filter(wanted).take(query.limit).cloned().collect();
        let full = events.len() == query.limit;
        let next = events.last().filter(|_| full).map(|last| last.reference);
        async move { Ok(EventPage { events, next, history_from: 1, ..EventPage::default() }) }
            .boxed()
    }

    fn event(
        &self,
        _: TenantId,
        at: EventRef,
    ) -> BoxFuture<'_, Result<Option<StoredEvent>, EventsError>> {
        let found = self.stored.iter().find(|stored| stored.reference == at).cloned();
        async move { Ok(found) }.boxed()
    }

    fn propose(&self, action: Action) -> BoxFuture<'_, Result<(Receipt, u64), ProposeError>> {
        let answer = match &self.propose {
            Some(error) => Err(error.clone()),
            None => {
                let mut state = self.state.lock();
                let (index, at) = (state.applied() + 1, state.at());
                Ok((state.apply(index, &Command::new(at, action)).receipt, index))
            }
        };
        async { answer }.boxed()
    }

    fn status(&self) -> ClusterStatus {
        let applied = self.state.lock().applied();
        let members = (1..=3).map(member).collect();
        ClusterStatus { node_id: 1, leader: Some(2), term: 5, committed: applied, applied, members }
    }

    fn members(&self) -> BoxFuture<'_, Vec<MemberStatus>> {
        let status = |id| MemberStatus {
            member: member(id),
            leads: id == 2,
            matched: Some(self.state.lock().applied() - 1),
            last_contact: Some(Duration::from_millis(7)),
        };
        let all = (1..=3).map(status).collect();
        async { all }.boxed()
    }

    fn initialise(&self, request: InitRequest) -> BoxFuture<'_, Result<Founded, InitError>> {
        let cluster = ClusterId([9; 16]);
        let answer = if self.founded {
            Err(InitError::Exists { cluster: Some(cluster) })
        } else if request.expect == Some(9) {
            Err(InitError::Unreachable("3 of 9".to_owned()))
        } else if request.expect == Some(8) {
            Err(InitError::Unknown("no answer in time".to_owned()))
        } else {
            Ok(Founded { cluster, admin_token: TOKEN.to_owned() })
        };
        async { answer }.boxed()
    }

    fn change_members(
        &self,
        change: MemberChange,
    ) -> BoxFuture<'_, Result<MemberChanged, ChangeFailure>> {
        self.changes.lock().push(change);
        let index = self.state.lock().applied();
        let answer = match self.changed {
            Ok(role) => Ok(MemberChanged { member: member(4), role, index }),
            Err(fault) => Err(ChangeFailure { fault, detail: "as the test wants it".to_owned() }),
        };
        async { answer }.boxed()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<u64, ProposeError>> {
        let full =
            self.propose.clone().filter(|error| matches!(error, ProposeError::DiskFull { .. }));
        async { full.map_or(Ok(7), Err) }.boxed()
    }

    fn render_metrics(&self) -> String {
        "wardmesh_raft_term 5\n# EOF\n".to_owned()
    }

    fn readiness(&self) -> Vec<Check> {
        vec![
            Check { name: "raft", ok: true, detail: String::new() },
            Check { name: "caught-up", ok: self.ready, detail: "at 7 of 9\nand more".to_owned() },
        ]
    }

    fn answered(&self, answer: &Answered<'_>) {
        self.answered.lock().push((answer.route.to_owned(), answer.status));
    }
}

/// One answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|cause| panic!("{cause}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Whether it is a problem of a code, complete as RFC 9457 and ours have it.
    #[track_caller]
    pub(super) fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{}", self.text);
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("/docs/errors/{code}"));
        assert_eq!(body["request_id"], self.header("wardmesh-request-id"));
        for member in ["title", "detail", "instance"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
        }
        body
    }
}

/// A client on the node's own host.
#[derive(Clone)]
pub(super) struct Client {
    router: Router,
    pub(super) peer: Option<SocketAddr>,
}

impl Client {
    pub(super) fn of(fake: Fake) -> (Self, Arc<Fake>) {
        let fake = Arc::new(fake);
        (Self::on(crate::http::router(fake.clone())), fake)
    }

    pub(super) fn on(router: Router) -> Self {
        Self { router, peer: Some(SocketAddr::from(([127, 0, 0, 1], 40_000))) }
    }

    pub(super) async fn send(&self, mut request: Request<Body>) -> Answer {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    pub(super) async fn fetch(&self, path: &str) -> Answer {
        self.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

/// A client and its node, nothing out of the ordinary.
pub(super) fn client() -> Client {
    Client::of(fake()).0
}
