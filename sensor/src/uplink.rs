//! Carries the spool to the aggregator: any of several addresses, for as long as the sensor runs.
//!
//! Connection loss is normal: back off with jitter, resolve the name again, open a new socket, say
//! hello, go on after the last acknowledged batch. Nothing is forgotten without an acknowledgement.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use wardmesh_common::id::SensorId;
use wardmesh_common::random;
use wardmesh_common::tls::Identity;

use crate::spool::Spool;

mod backoff;
pub mod dial;
mod lane;
mod marks;
mod session;
mod window;

use backoff::{Backoff, dial_patience};
use dial::{Dial, Quic};
pub use session::SessionEnd;

/// Where to and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct UplinkConfig {
    /// The aggregator's ingest addresses, `host:port` each; tried in turn.
    #[serde(deserialize_with = "wardmesh_common::config::list")]
    pub addresses: Vec<String>,
    /// Milliseconds that a connection attempt and the hello after it may take each.
    pub connect_timeout_ms: u64,
    /// The longest pause between two attempts, milliseconds.
    pub backoff_max_ms: u64,
}

impl Default for UplinkConfig {
    fn default() -> Self {
        Self { addresses: Vec::new(), connect_timeout_ms: 5_000, backoff_max_ms: 15_000 }
    }
}

/// What the uplink is doing, for metrics and `status`.
#[derive(Debug, Default)]
pub struct UplinkStatus {
    /// Whether the application's hello is answered on every lane.
    pub online: AtomicBool,
    /// Sessions that came online since the start.
    pub sessions: AtomicU64,
    /// Attempts that failed since the start.
    pub failures: AtomicU64,
}

/// All that a session needs.
#[derive(Clone)]
pub struct Uplink {
    config: UplinkConfig,
    sensor: SensorId,
    dialler: Arc<dyn Dial>,
    spool: Spool,
    status: Arc<UplinkStatus>,
}

impl fmt::Debug for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uplink({} to {:?})", self.sensor, self.config.addresses)
    }
}

impl Uplink {
    /// An uplink of `sensor`, whose certificate belongs to the cluster of this name.
    #[must_use]
    pub fn new(
        config: UplinkConfig,
        cluster: String,
        sensor: SensorId,
        identity: Identity,
        spool: Spool,
    ) -> Self {
        Self::over(config, sensor, Arc::new(Quic { cluster, identity }), spool)
    }

    /// An uplink whose connections come from this dialler.
    #[must_use]
    pub fn over(
        config: UplinkConfig,
        sensor: SensorId,
        dialler: Arc<dyn Dial>,
        spool: Spool,
    ) -> Self {
        Self { config, sensor, dialler, spool, status: Arc::default() }
    }

    /// What it is doing; shared with the running uplink.
    #[must_use]
    pub fn status(&self) -> Arc<UplinkStatus> {
        Arc::clone(&self.status)
    }

    /// Runs until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(Duration::from_millis(self.config.backoff_max_ms));
        let (patience, others) = (
            Duration::from_millis(self.config.connect_timeout_ms),
            self.config.addresses.len() > 1,
        );
        let mut failed = 0;
        for address in self.config.addresses.iter().cycle() {
            let sessions = self.status.sessions.load(Ordering::Relaxed);
            let end = tokio::select! {
                biased;
                end = session::run(&self, address, dial_patience(patience, others, failed)) => end,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            self.status.online.store(false, Ordering::Release);
            if self.status.sessions.load(Ordering::Relaxed) > sessions {
                backoff.reset();
                failed = 0;
            } else {
                failed += 1;
                self.status.failures.fetch_add(1, Ordering::Relaxed);
            }
            let pause = backoff.next(random::u64());
            match &end {
                SessionEnd::Refused { .. } => tracing::error!(address, %end, ?pause, "refused"),
                _ => tracing::warn!(address, %end, ?pause, "not connected"),
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}
