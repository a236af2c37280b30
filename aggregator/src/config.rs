//! The node's configuration: the sum of its parts' structs.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wardmesh_common::config::{ConfigError, Layers, check_address};
use wardmesh_common::id::NodeId;
use wardmesh_common::space::Limits;
use wardmesh_common::telemetry::LogConfig;
use wardmesh_common::tls::{Identity, IdentityFiles, Principal};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this node is.
    pub node: NodeConfig,
    /// Where sensors come in.
    pub ingest: EndpointConfig,
    /// Where the other nodes come in; its own port and its own authority.
    pub raft: RaftConfig,
    /// Where people and programs ask.
    #[serde(default)]
    pub http: HttpConfig,
    /// Where Prometheus and probes ask.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// How much of the past is kept.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// How much room the volume must keep.
    #[serde(default)]
    pub disk: DiskConfig,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

/// The key of a value that cannot be used, and why.
type Fault = (String, String);

impl Config {
    /// Reads the layers and refuses what could not run, so that `config check` and `run` agree.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key and the layer.
    pub fn load(layers: &Layers) -> Result<Self, ConfigError> {
        let config: Self = layers.load()?;
        config.check().map_err(|(key, fault)| layers.refuse(&key, fault))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Fault> {
        self.ingest.check("ingest", self.node.id)?;
        self.raft.endpoint().check("raft", self.node.id)?;
        if !self.http.advertise.is_empty() {
            let refuse = |fault| ("http.advertise".to_owned(), fault);
            check_address(&self.http.advertise).map_err(refuse)?;
        }
        if self.disk.low_bytes < self.disk.reserve_bytes {
            let DiskConfig { low_bytes, reserve_bytes } = self.disk;
            let fault = format!("{low_bytes} is below disk.reserve_bytes, {reserve_bytes}");
            return Err(("disk.low_bytes".to_owned(), fault));
        }
        self.log.check().map_err(|cause| ("log.filter".to_owned(), cause.to_string()))
    }
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

/// Where the other nodes come in, and what is agreed on how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RaftConfig {
    /// See [`EndpointConfig::listen`].
    pub listen: SocketAddr,
    /// See [`EndpointConfig::advertise`].
    pub advertise: String,
    /// See [`EndpointConfig::identity`].
    pub identity: IdentityFiles,
    /// Whether reads with consistency=leader trust the leader's lease, and so that no machine's clock
    /// stands still, as a suspended one's does. Off: a quorum confirms the leader for them as well.
    #[serde(default)]
    pub lease_reads: bool,
}

impl RaftConfig {
    fn endpoint(&self) -> EndpointConfig {
        let Self { listen, advertise, identity, .. } = self.clone();
        EndpointConfig { listen, advertise, identity }
    }
}

impl From<EndpointConfig> for RaftConfig {
    fn from(endpoint: EndpointConfig) -> Self {
        let EndpointConfig { listen, advertise, identity } = endpoint;
        Self { listen, advertise, identity, lease_reads: false }
    }
}

impl EndpointConfig {
    /// That the endpoint of this section can be the node's.
    fn check(&self, section: &str, id: NodeId) -> Result<(), Fault> {
        let identity = Identity::load(&self.identity)
            .map_err(|cause| (format!("{section}.identity"), cause.to_string()))?;
        let of_certificate = |fault| (format!("{section}.identity.certificate"), fault);
        match identity.principal() {
            Ok(Principal::Node { node, .. }) if node == id => {}
            Ok(Principal::Node { node, .. }) => {
                let fault = format!("{id} is not the node of {section}.identity, which is {node}");
                return Err(("node.id".to_owned(), fault));
            }
            Ok(other) => return Err(of_certificate(format!("{other} is no node's name"))),
            Err(cause) => return Err(of_certificate(cause.to_string())),
        }
        check_address(&self.advertise).map_err(|fault| (format!("{section}.advertise"), fault))
    }
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
    /// Bytes of log that are kept for a follower that is behind, such as one whose volume is full;
    /// further back it gets a snapshot. The default is as much as grows between two snapshots and
    /// again: it is read within two seconds at a start.
    pub laggard_bytes: u64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            archive_bytes: 64 * 1024 * 1024 * 1024,
            snapshot_entries: 20_000,
            laggard_bytes: 2 * 1024 * 1024 * 1024,
        }
    }
}

/// How much room the volume of the data folder must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskConfig {
    /// Below so many free bytes the node takes no new commands and hands leadership to one that has
    /// room; as a follower it goes on. The default is the reserve, what the log grows by before it is
    /// archived (256 MiB), and an archive file, with some room for a snapshot.
    pub low_bytes: u64,
    /// Below so many free bytes a follower takes no more entries either, and a start waits. The
    /// default is what is under way at most: two log files and the queue of writes, 32 MiB each, and
    /// as much for the query index.
    pub reserve_bytes: u64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self { low_bytes: 512 * 1024 * 1024, reserve_bytes: 128 * 1024 * 1024 }
    }
}

impl From<DiskConfig> for Limits {
    fn from(DiskConfig { low_bytes, reserve_bytes }: DiskConfig) -> Self {
        Self { low: low_bytes, reserve: reserve_bytes }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use wardmesh_common::id::{SensorId, TenantId};
    use wardmesh_common::tls::authority::Authority;

    use super::*;

    fn write_identity(folder: &Path, principal: &Principal) {
        let issued = Authority::new("test").unwrap().issue(principal).unwrap();
        std::fs::write(folder.join("certificate.pem"), issued.certificate).unwrap();
        std::fs::write(folder.join("key.pem"), issued.key).unwrap();
        std::fs::write(folder.join("authority.pem"), issued.authority).unwrap();
    }

    /// Loads a configuration in which one text is replaced.
    fn load(folder: &Path, (from, to): (&str, &str)) -> Result<Config, String> {
        let at = |name: &str| folder.join(name).display().to_string();
        let endpoint = |name: &str| {
            format!(
                "[{name}]\nlisten = '127.0.0.1:0'\nadvertise = '{name}:4433'\n\
                identity = {{ certificate = '{}', key = '{}', authority = '{}' }}\n",
                at("certificate.pem"),
                at("key.pem"),
                at("authority.pem"),
            )
        };
        let node = "[node]\nid = 1\nname = 'n'\ndata = '/data'\n[http]\nadvertise = 'h:1'\n";
        let toml =
            format!("{node}{}{}[log]\nfilter = 'info'", endpoint("ingest"), endpoint("raft"));
        let file = folder.join("aggregator.toml");
        std::fs::write(&file, toml.replace(from, to)).unwrap();
        let layers = Layers { file: Some(file), ..Layers::default() };
        Config::load(&layers).map_err(|error| error.to_string())
    }

    #[test]
    fn what_could_not_run_is_refused_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = "c".to_owned();
        write_identity(folder.path(), &Principal::Node { cluster: cluster.clone(), node: 1 });
        assert!(load(folder.path(), ("", "")).is_ok());
        for (change, key) in [
            (("id = 1", "id = 2"), "node.id"),
            (("ingest:4433", "ingest"), "ingest.advertise"),
            (("raft:4433", "raft:port"), "raft.advertise"),
            (("h:1", "h"), "http.advertise"),
            (("/key.pem", "/none.pem"), "ingest.identity"),
            (("[log]", "[disk]\nlow_bytes = 1\n[log]"), "disk.low_bytes"),
            (("'info'", "'a=b=c'"), "log.filter"),
        ] {
            let error = load(folder.path(), change).unwrap_err();
            assert!(error.contains(&format!("aggregator.toml: key '{key}': ")), "{error}");
        }
        let (tenant, sensor) = (TenantId::default_tenant(), SensorId::from_random([7; 16]));
        write_identity(folder.path(), &Principal::Sensor { cluster, tenant, sensor });
        let error = load(folder.path(), ("", "")).unwrap_err();
        assert!(error.contains("key 'ingest.identity.certificate': "), "{error}");
    }
}
