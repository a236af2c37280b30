//! HTTP to one node, with what tests need of an answer: status, index, tag, text. Judges nothing.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

/// Bytes of one answer at most: a page of events is far below.
const ANSWER_MAX: u64 = 64 << 20;

/// One node's HTTP API.
#[derive(Clone, Debug)]
pub struct Door {
    agent: Agent,
    base: String,
    token: Option<String>,
}

/// What a node answered, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// `Wardmesh-Applied-Index`.
    pub index: Option<u64>,
    /// `ETag`.
    pub tag: Option<String>,
    /// The body.
    pub text: String,
}

impl Answer {
    /// Whether it is a success.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The body as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Door {
    /// A door to `host:port`; `patience` bounds one exchange.
    #[must_use]
    pub fn new(address: &str, token: Option<String>, patience: Duration) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(patience))
            .build()
            .new_agent();
        Self { agent, base: format!("http://{address}"), token }
    }

    /// The same door with another patience.
    #[must_use]
    pub fn patient(&self, patience: Duration) -> Self {
        let address = self.base.trim_start_matches("http://");
        Self::new(address, self.token.clone(), patience)
    }

    /// `GET`, with the query in the path.
    ///
    /// # Errors
    /// Why there was no answer.
    pub fn read(&self, path: &str) -> Result<Answer, String> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|cause| cause.to_string()).and_then(answer)
    }

    /// `POST` of JSON.
    ///
    /// # Errors
    /// Why there was no answer: it may have taken effect.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let sent = request.content_type("application/json").send(body.to_string());
        sent.map_err(|cause| cause.to_string()).and_then(answer)
    }

    /// `PATCH` of JSON, if what is there still has this tag.
    ///
    /// # Errors
    /// Why there was no answer: it may have taken effect.
    pub fn patch(&self, path: &str, tag: &str, body: &Value) -> Result<Answer, String> {
        let mut request = self.agent.patch(format!("{}{path}", self.base)).header("If-Match", tag);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let sent = request.content_type("application/json").send(body.to_string());
        sent.map_err(|cause| cause.to_string()).and_then(answer)
    }

    /// What a read answers where it succeeds.
    #[must_use]
    pub fn json(&self, path: &str) -> Option<Value> {
        self.read(path).ok().filter(Answer::is_good).map(|answer| answer.json())
    }
}

fn answer(mut response: Response<ureq::Body>) -> Result<Answer, String> {
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let index = header("wardmesh-applied-index").and_then(|text| text.parse().ok());
    let (status, tag) = (response.status().as_u16(), header("etag"));
    let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_string();
    let text = body.map_err(|cause| cause.to_string())?;
    Ok(Answer { status, index, tag, text })
}
