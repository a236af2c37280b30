//! The node's configuration: the sum of its parts' structs.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wardmesh_common::id::NodeId;
use wardmesh_common::telemetry::LogConfig;
use wardmesh_common::tls::IdentityFiles;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this node is.
    pub node: NodeConfig,
    /// Where sensors come in.
    pub ingest: EndpointConfig,
    /// Where the other nodes come in; its own port and its own authority.
    pub raft: EndpointConfig,
    /// Where people and programs ask.
    #[serde(default)]
    pub http: HttpConfig,
    /// Where Prometheus and probes ask.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// How much of the past is kept.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Its id; written to the volume at the first start and never used again after its removal.
    pub id: NodeId,
    /// Its name for people.
    pub name: String,
    /// The folder that holds its log, snapshots, archive and indexes.
    pub data: PathBuf,
}

/// A QUIC endpoint with mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// The address to bind, such as `0.0.0.0:4433`.
    pub listen: SocketAddr,
    /// `host:port` under which others reach it; a DNS name, since an IP address changes.
    pub advertise: String,
    /// The certificate, key and authority of this endpoint.
    pub identity: IdentityFiles,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// The address to bind.
    pub listen: SocketAddr,
    /// `host:port` under which others reach it; the bound address where it is empty.
    pub advertise: String,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: ([127, 0, 0, 1], 8443).into(), advertise: String::new() }
    }
}

/// Metrics and probes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// The address to bind.
    pub listen: SocketAddr,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: ([127, 0, 0, 1], 9464).into() }
    }
}

/// How much of the past is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Bytes of archived events on this node; whole files go, oldest first.
    pub archive_bytes: u64,
    /// Log entries after which a snapshot is made and the log may be purged.
    pub snapshot_entries: u64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { archive_bytes: 64 * 1024 * 1024 * 1024, snapshot_entries: 20_000 }
    }
}
