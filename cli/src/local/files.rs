//! The files of a mesh on loopback: identities and configurations.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use wardmesh_aggregator::config as node;
use wardmesh_common::telemetry::LogConfig;
use wardmesh_common::tls::IdentityFiles;
use wardmesh_common::tls::authority::Issued;
use wardmesh_sensor::config as sensor;
use wardmesh_sensor::uplink::UplinkConfig;

/// A throw-away mesh is small, and may lie on a small volume.
const MIB: u64 = 1024 * 1024;

/// Where a node listens.
pub(super) struct Ports {
    pub(super) ingest: SocketAddr,
    pub(super) raft: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) metrics: SocketAddr,
}

/// Where [`write_identity`] puts the three parts of an identity.
#[must_use]
pub fn identity_files(folder: &Path) -> IdentityFiles {
    IdentityFiles {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
        authority: folder.join("authority.pem"),
    }
}

/// Writes an identity into a folder, which is made; its key must not be there yet.
///
/// # Errors
/// The disk's.
pub fn write_identity(folder: &Path, issued: &Issued) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let files = identity_files(folder);
    std::fs::write(&files.certificate, &issued.certificate)?;
    write_private(&files.key, &issued.key)?;
    std::fs::write(&files.authority, &issued.authority)?;
    Ok(())
}

/// Only the owner may read a key.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

pub(super) fn node_config(
    folder: &Path,
    id: u64,
    ports: &Ports,
    filter: &str,
) -> anyhow::Result<PathBuf> {
    let endpoint = |listen: SocketAddr, name: &str| node::EndpointConfig {
        listen,
        advertise: listen.to_string(),
        identity: identity_files(&folder.join(name)),
    };
    let config = node::Config {
        node: node::NodeConfig { id, name: format!("node-{id}"), data: folder.join("data") },
        ingest: endpoint(ports.ingest, "ingest"),
        raft: endpoint(ports.raft, "raft").into(),
        http: node::HttpConfig { listen: reachable(ports.http), advertise: ports.http.to_string() },
        metrics: node::MetricsConfig { listen: ports.metrics },
        retention: node::RetentionConfig::default(),
        disk: node::DiskConfig { low_bytes: 64 * MIB, reserve_bytes: 16 * MIB },
        log: LogConfig { filter: filter.to_owned(), ..LogConfig::default() },
    };
    write_toml(&folder.join("aggregator.toml"), &config)
}

pub(super) fn sensor_config(
    folder: &Path,
    addresses: &[&String],
    captures: &[PathBuf],
    filter: &str,
) -> anyhow::Result<PathBuf> {
    let config = sensor::Config {
        identity: identity_files(&folder.join("identity")),
        uplink: UplinkConfig {
            addresses: addresses.iter().map(|address| (*address).clone()).collect(),
            connect_timeout_ms: 2_000,
            backoff_max_ms: 1_000,
        },
        spool: sensor::SpoolConfig {
            folder: folder.join("spool"),
            budget_bytes: 1 << 30,
            reserve_bytes: 16 * MIB,
        },
        capture: sensor::CaptureConfig { files: captures.to_vec(), speed: sensor::Speed::Max },
        log: LogConfig { filter: filter.to_owned(), ..LogConfig::default() },
    };
    write_toml(&folder.join("sensor.toml"), &config)
}

/// Where HTTP listens: on every address of another host, since only its own loopback may found it.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if !v4.ip().is_loopback() => (Ipv4Addr::UNSPECIFIED, v4.port()).into(),
        other => other,
    }
}

fn write_toml(path: &Path, config: &impl serde::Serialize) -> anyhow::Result<PathBuf> {
    std::fs::write(path, toml::to_string(config)?)?;
    Ok(path.to_owned())
}
