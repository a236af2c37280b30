//! Who asks. Every route passes here; an answer without a principal is a fault of the node.
//!
//! The admin token names the administrator. Without credentials only the node's own host is served,
//! and only directly: what a proxy or a web page of another name sends from there is not the host's.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use wardmesh_common::id::TenantId;

use super::Api;
use super::problem::{Problem, kinds};

/// Routes for probes and scrapers, which carry no credentials and learn no facts about devices.
const OPEN: &[&str] = &["/livez", "/readyz", "/startupz", "/metrics"];

/// Who asks, and for whose data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// Whose data it may see.
    pub(crate) tenant: TenantId,
    /// By what it is known.
    pub(crate) role: Role,
}

/// By what a principal is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The admin token.
    Admin,
    /// It asks from the node's own host.
    Host,
    /// Nothing: only for [`OPEN`].
    Anyone,
}

/// The layer.
pub(crate) async fn identify(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let role = if OPEN.contains(&request.uri().path()) {
        Ok(Role::Anyone)
    } else {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        role(request.headers(), peer, api.backend.state().admin_token())
    };
    match role {
        Ok(role) => {
            let tenant = TenantId::default_tenant();
            request.extensions_mut().insert(Principal { tenant, role });
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn role(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    admin_token: Option<[u8; 32]>,
) -> Result<Role, Problem> {
    if let Some(credentials) = headers.get(header::AUTHORIZATION) {
        let token = bearer(credentials.as_bytes());
        let hash = token.map(|token| <[u8; 32]>::from(Sha256::digest(token)));
        let known = hash.zip(admin_token).is_some_and(|(hash, known)| same(&hash, &known));
        let detail = "The credentials are not the admin token of this cluster.";
        return known
            .then_some(Role::Admin)
            .ok_or_else(|| Problem::new(&kinds::UNAUTHORIZED, detail));
    }
    if peer.is_some_and(|ip| ip.to_canonical().is_loopback()) && is_direct(headers) {
        return Ok(Role::Host);
    }
    let detail = "Without credentials only requests from the node's own host are served.";
    let hint = "Send 'Authorization: Bearer TOKEN' with the admin token of 'cluster init'.";
    Err(Problem::new(&kinds::UNAUTHORIZED, detail).hint(hint))
}

/// The token of a `Bearer` credential (RFC 6750 section 2.1); the scheme in any case.
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Takes the same time wherever the first difference is.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differences = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differences) == 0
}

/// Whether no proxy forwarded it, and no web page sent it that is not this server's own: neither one
/// of another origin nor one whose name was pointed here (DNS rebinding).
fn is_direct(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    let proxied = forwarded.iter().any(|name| headers.contains_key(*name));
    let host = text(header::HOST);
    let origin = text(header::ORIGIN).map(|origin| origin.split_once("://").map(|(_, host)| host));
    let own_page = origin.is_none_or(|origin| origin.is_some() && origin == host);
    let fetched = text(HeaderName::from_static("sec-fetch-site"));
    let own_site = fetched.is_none_or(|site| matches!(site, "same-origin" | "none"));
    !proxied && own_page && own_site && host.is_none_or(is_own_name)
}

fn is_own_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], peer: &str, expected: Option<Role>) {
        let known = Some(<[u8; 32]>::from(Sha256::digest(b"secret")));
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let role = role(&headers.collect(), peer.parse().ok(), known);
        assert_eq!(role.ok(), expected, "{peer}");
    }

    #[test]
    fn the_token_or_the_own_host() {
        let away = "192.0.2.7";
        check(&[("authorization", "Bearer secret")], away, Some(Role::Admin));
        check(&[("authorization", "bearer  secret ")], "", Some(Role::Admin));
        check(&[("authorization", "Bearer Secret")], away, None);
        check(&[("authorization", "Bearer secret")], "127.0.0.1", Some(Role::Admin));
        check(&[("authorization", "Bearer wrong")], "127.0.0.1", None);
        check(&[("authorization", "Basic c2VjcmV0")], "127.0.0.1", None);
        check(&[("authorization", "B")], "127.0.0.1", None);
        check(&[], away, None);
        check(&[], "", None);
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            check(&[], own, Some(Role::Host));
        }
        check(&[("host", "localhost:8443")], "::1", Some(Role::Host));
        check(&[("host", "[::1]:8443")], "::1", Some(Role::Host));
        check(&[("host", "rebound.example:8443")], "::1", None);
        check(&[("x-forwarded-for", "192.0.2.7")], "127.0.0.1", None);
        let (host, own) = (("host", "127.0.0.1:8443"), "127.0.0.1");
        check(&[host, ("origin", "http://127.0.0.1:8443")], own, Some(Role::Host));
        check(&[host, ("origin", "http://evil.example")], own, None);
        check(&[host, ("origin", "null")], own, None);
        check(&[host, ("sec-fetch-site", "cross-site")], own, None);
        check(&[host, ("sec-fetch-site", "same-origin")], own, Some(Role::Host));
    }

    #[test]
    fn no_token_opens_a_node_without_a_cluster() {
        let headers = [(header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"))];
        assert!(role(&headers.into_iter().collect(), None, None).is_err());
    }
}
