//! A blocking client of the aggregator's HTTP API; knows requests and envelopes, no resource.
//!
//! Where one server cannot be reached the next is asked. A write goes to a second one only if the
//! first was never connected to: what was sent may have taken effect.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

use crate::access::{Consistency, Server};
use crate::failure::{Failure, Problem};

mod pages;
#[cfg(test)]
mod tests;

pub use pages::{Page, Pages};

/// The longest wait for a connection: on a network that works it takes milliseconds, and the next
/// server waits for its turn.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Bytes of one answer at most: a page of 1,000 devices with all that is kept of each is below.
const ANSWER_MAX: u64 = 64 << 20;

/// Query parameters, in order; a name may come several times.
pub type Query = Vec<(&'static str, String)>;

/// Asks a cluster.
pub struct Client {
    agent: Agent,
    servers: Vec<Server>,
    token: Option<String>,
    consistency: Option<Consistency>,
    /// The server that answered last.
    current: AtomicUsize,
}

/// One request.
enum Ask<'a> {
    Get(&'a [(&'static str, String)]),
    Post(&'a Value),
    Delete(&'a [(&'static str, String)]),
    /// With the condition for the header `If-Match`.
    Patch(&'a Value, &'a str),
}

impl Ask<'_> {
    /// Whether something is to be changed, which may have happened although no answer came.
    const fn is_write(&self) -> bool {
        !matches!(self, Self::Get(_))
    }
}

/// Why a server gave no answer.
struct NoAnswer {
    cause: ureq::Error,
    /// Nothing was sent: it can be asked of another one.
    unsent: bool,
}

impl Client {
    /// A client of the servers, which are asked in this order. `consistency` goes with each read;
    /// `timeout` bounds one exchange.
    #[must_use]
    pub fn new(
        servers: Vec<Server>,
        token: Option<String>,
        consistency: Option<Consistency>,
        timeout: Duration,
    ) -> Self {
        // No proxy: the cluster is inside, and a proxy of the environment would see the token.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_MAX.min(timeout)))
            .timeout_global(Some(timeout))
            .user_agent(concat!("wardmesh/", env!("CARGO_PKG_VERSION")))
            .build();
        let (agent, current) = (config.new_agent(), AtomicUsize::new(0));
        Self { agent, servers, token, consistency, current }
    }

    /// `GET` of a path such as `/api/v1/cluster`, with query parameters.
    ///
    /// # Errors
    /// [`Failure`]: an error answer, no answer, or one that is no JSON.
    pub fn get(&self, path: &str, query: &[(&'static str, String)]) -> Result<Value, Failure> {
        self.ask(path, &Ask::Get(query))
    }

    /// `POST` of a JSON body; an empty answer is `null`.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(path, &Ask::Post(body))
    }

    /// `DELETE` of a path, with query parameters.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn delete(&self, path: &str, query: &[(&'static str, String)]) -> Result<Value, Failure> {
        self.ask(path, &Ask::Delete(query))
    }

    /// `PATCH` by a JSON body of a thing that still has the version: a tag, or `*` for any.
    ///
    /// # Errors
    /// As for [`Client::get`]; where it has another version, a problem of status 412.
    pub fn patch(&self, path: &str, version: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(path, &Ask::Patch(body, version))
    }

    /// The pages of a list, until `limit` items were given.
    #[must_use]
    pub fn pages(&self, path: &str, query: Query, limit: usize) -> Pages<'_> {
        Pages::new(self, path.to_owned(), query, limit)
    }

    /// A list that the API gives in one piece: it takes neither limit nor cursor.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn whole(&self, path: &str) -> Result<Page, Failure> {
        Page::read(path, self.get(path, &[])?)
    }

    fn ask(&self, path: &str, ask: &Ask<'_>) -> Result<Value, Failure> {
        let first = self.current.load(Ordering::Relaxed);
        let (mut tried, mut cut_off) = (Vec::new(), None);
        for turn in 0..self.servers.len() {
            let at = (first + turn) % self.servers.len();
            let Some(server) = self.servers.get(at) else { break };
            let url = format!("{}{path}", server.as_str());
            let more = turn + 1 < self.servers.len();
            match self.send(&url, ask) {
                Ok(response) => {
                    let answer = read(server, response, ask);
                    if more && another_may_know(&answer, ask) {
                        cut_off = answer.err();
                        continue;
                    }
                    self.current.store(at, Ordering::Relaxed);
                    return answer;
                }
                Err(NoAnswer { cause, unsent }) => {
                    if !unsent && (!more || ask.is_write()) {
                        return Err(broken(server, &cause, ask));
                    }
                    tried.push(format!("{}: {}", server.as_str(), why(&cause)));
                }
            }
        }
        Err(cut_off.unwrap_or_else(|| Failure::Unreachable { tried: tried.join("; ") }))
    }

    fn send(&self, url: &str, ask: &Ask<'_>) -> Result<Response<ureq::Body>, NoAnswer> {
        let bearer = self.token.iter().map(|token| format!("Bearer {token}")).next();
        let sent = match ask {
            Ask::Get(query) => {
                let mut request = self.agent.get(url).header("Accept", "application/json");
                if let Some(bearer) = &bearer {
                    request = request.header("Authorization", bearer);
                }
                let consistency = self.consistency.map(|wanted| ("consistency", wanted.as_str()));
                let query = query.iter().map(|(name, value)| (*name, value.as_str()));
                request.query_pairs(query.chain(consistency)).call()
            }
            Ask::Delete(query) => {
                let mut request = self.agent.delete(url).header("Accept", "application/json");
                if let Some(bearer) = &bearer {
                    request = request.header("Authorization", bearer);
                }
                request
                    .query_pairs(query.iter().map(|(name, value)| (*name, value.as_str())))
                    .call()
            }
            Ask::Post(body) => {
                let mut request = self.agent.post(url).header("Accept", "application/json");
                if let Some(bearer) = &bearer {
                    request = request.header("Authorization", bearer);
                }
                request.content_type("application/json").send(body.to_string())
            }
            Ask::Patch(body, version) => {
                let mut request = self.agent.patch(url).header("Accept", "application/json");
                if let Some(bearer) = &bearer {
                    request = request.header("Authorization", bearer);
                }
                let request = request.header("If-Match", *version);
                request.content_type("application/json").send(body.to_string())
            }
        };
        sent.map_err(|cause| NoAnswer { unsent: is_unsent(&cause), cause })
    }
}

/// Whether an error came before a byte could be sent.
fn is_unsent(cause: &ureq::Error) -> bool {
    match cause {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        ureq::Error::Timeout(phase) => {
            matches!(phase, ureq::Timeout::Connect | ureq::Timeout::Resolve)
        }
        ureq::Error::Io(cause) if is_lookup(cause) => true,
        ureq::Error::Io(cause) => matches!(
            cause.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
        ),
        _ => false,
    }
}

/// Whether the resolver did not know a name: the standard library has a text for it, no kind.
fn is_lookup(cause: &std::io::Error) -> bool {
    cause.to_string().starts_with("failed to lookup address information")
}

/// Why a server could not be asked, in words.
fn why(cause: &ureq::Error) -> String {
    match cause {
        ureq::Error::HostNotFound => "the name has no address".to_owned(),
        ureq::Error::Io(cause) if is_lookup(cause) => format!("the name has no address: {cause}"),
        ureq::Error::Io(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

/// Whether another server may answer where this one cannot: a node that is cut off says 503.
fn another_may_know(answer: &Result<Value, Failure>, ask: &Ask<'_>) -> bool {
    let cut_off = matches!(answer, Err(Failure::Problem(problem)) if problem.status == 503);
    cut_off && !ask.is_write()
}

fn broken(server: &Server, cause: &ureq::Error, ask: &Ask<'_>) -> Failure {
    let (server, write) = (server.as_str().to_owned(), ask.is_write());
    Failure::Broken { server, cause: cause.to_string(), write }
}

/// An answer's JSON, or the failure that it tells of.
fn read(
    server: &Server,
    mut response: Response<ureq::Body>,
    ask: &Ask<'_>,
) -> Result<Value, Failure> {
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
    let body = body.map_err(|cause| broken(server, &cause, ask))?;
    let good = (200..300).contains(&status);
    if good && body.is_empty() {
        return Ok(Value::Null);
    }
    let json = serde_json::from_slice::<Value>(&body);
    if good && let Ok(json) = json {
        return Ok(json);
    }
    let problem = json.as_ref().ok().and_then(|json| Problem::read(status, json));
    let foreign = || Failure::Foreign {
        server: server.as_str().to_owned(),
        status,
        cause: json.as_ref().err().map_or_else(|| "no problem".to_owned(), ToString::to_string),
    };
    Err(problem.map_or_else(foreign, |problem| Failure::Problem(Box::new(problem))))
}
