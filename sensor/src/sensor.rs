//! The composition root: identity, spool, uplink and feed, put together and taken down in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wardmesh_common::map::HashKey;
use wardmesh_common::random;
use wardmesh_common::space::{Limits, Space};
use wardmesh_common::tls::{Identity, Principal};

use crate::config::{Config, SpoolConfig};
use crate::feed::{Fed, Feed, Heartbeat, INTERVAL, Lost, Totals};
use crate::ledger::Ledger;
use crate::spool::Spool;
use crate::uplink::{Uplink, UplinkStatus};

/// What a replay came to, printed as one JSON object.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    /// What was read.
    #[serde(flatten)]
    pub fed: Fed,
    /// Events that are durable in the spool.
    pub events_emitted: u64,
    /// Events that the aggregator acknowledged, those of earlier starts included.
    pub events_acked: u64,
    /// Events that the aggregator will never take.
    pub events_dead: u64,
}

/// A running sensor.
pub struct Sensor {
    spool: Spool,
    stop: watch::Sender<bool>,
    stopped: Arc<AtomicBool>,
    uplink: JoinHandle<()>,
    uplink_status: Arc<UplinkStatus>,
    feed: Feed,
    files: Vec<PathBuf>,
}

/// What the process ends with when its disk fails: `EX_IOERR` of sysexits.h.
pub const EXIT_IO: u8 = 74;

/// How often the end of draining is looked at.
const DRAIN_POLL: Duration = Duration::from_millis(20);

impl Sensor {
    /// Opens the spool and starts the uplink; `files` are read by what is called next.
    ///
    /// # Errors
    /// Where the identity is no sensor's, or the spool cannot be opened.
    pub fn start(
        config: &Config,
        files: Vec<PathBuf>,
        ledger: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let identity = Identity::load(&config.identity)?;
        let principal = identity.principal().context("identity.certificate")?;
        let Principal::Sensor { cluster, sensor, .. } = principal else {
            anyhow::bail!("identity.certificate: {principal} is no sensor's name");
        };
        let space = volume(config);
        let ledger = ledger
            .map(|path| Ledger::open(&path).with_context(|| path.display().to_string()))
            .transpose()?;
        let (folder, budget) = (&config.spool.folder, config.spool.budget_bytes);
        let (spool, aside) = Spool::open(folder, budget, random::u64(), ledger)?;
        spool.watch(Arc::new(space));
        let spool_events = spool.counts().lost.load(Ordering::Acquire);
        let mut lost = Lost { spool_events, ..Lost::default() };
        if let Some(aside) = aside {
            let (path, bytes) = (aside.path.display(), aside.bytes);
            tracing::error!(%path, bytes, cause = aside.cause, "the spool was broken: set aside");
            lost.spool_bytes = bytes;
        }
        tracing::info!(%sensor, cluster, addresses = ?config.uplink.addresses, "started");
        let uplink = Uplink::new(config.uplink.clone(), cluster, sensor, identity, spool.clone());
        let (stop, stopping) = watch::channel(false);
        let stopped = Arc::new(AtomicBool::new(false));
        let feed =
            Feed::new(sensor, spool.clone(), config.capture.speed, lost, Arc::clone(&stopped));
        let uplink_status = uplink.status();
        let uplink = tokio::spawn(uplink.run(stopping));
        Ok(Self { spool, stop, stopped, uplink, uplink_status, feed, files })
    }

    /// Reads the files and waits until everything is acknowledged, then stops.
    ///
    /// # Errors
    /// Where a file is no capture, or the spool failed.
    pub async fn drain(self) -> anyhow::Result<Summary> {
        let Self { spool, stop, stopped, uplink, feed, files, .. } = self;
        let reading = tokio::task::spawn_blocking(move || feed.run(&files, random_key()));
        let fed = reading.await??;
        while !spool.is_drained() {
            anyhow::ensure!(!spool.has_failed(), SpoolFailed);
            tokio::time::sleep(DRAIN_POLL).await;
        }
        shutdown(&stopped, &stop, uplink).await;
        let counts = spool.counts();
        Ok(Summary {
            fed,
            events_emitted: counts.emitted.load(Ordering::Acquire),
            events_acked: counts.acked.load(Ordering::Acquire),
            events_dead: counts.dead.load(Ordering::Acquire),
        })
    }

    /// Reads the files and runs until `signal` completes; what is unacknowledged stays in the spool.
    ///
    /// # Errors
    /// Where the spool failed; a file that is no capture is logged, and the rest is on its way.
    pub async fn run_until(self, signal: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { spool, stop, stopped, uplink, uplink_status, feed, files } = self;
        let heartbeat = Heartbeat::new(INTERVAL, Instant::now(), totals(uplink_status));
        let mut staying =
            tokio::task::spawn_blocking(move || feed.stay(&files, random_key(), heartbeat));
        let ended = tokio::select! {
            () = signal => None,
            () = spool.failed() => None,
            // By itself it ends only where it cannot go on.
            ended = &mut staying => Some(ended),
        };
        shutdown(&stopped, &stop, uplink).await;
        let ended = match ended {
            Some(ended) => ended,
            None => staying.await,
        };
        anyhow::ensure!(!spool.has_failed(), SpoolFailed);
        ended??;
        Ok(())
    }
}

/// The spool failed, for the reason in the log: the process ends with [`EXIT_IO`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the spool has failed; see the log above")]
pub struct SpoolFailed;

fn volume(config: &Config) -> Space {
    let SpoolConfig { folder, reserve_bytes, .. } = &config.spool;
    Space::new(folder.clone(), Limits { low: *reserve_bytes, reserve: *reserve_bytes })
}

/// Waits until the spool's volume has room: a sensor that finds none would fail over and over.
pub async fn wait_for_room(config: &Config) {
    let say = |obstacle: &str| tracing::error!(obstacle, "the start waits for room");
    volume(config).wait_for_room(say).await;
}

/// What a sign of life reports of the uplink.
fn totals(uplink: Arc<UplinkStatus>) -> Totals {
    Box::new(move || {
        let (sessions, failures) = (&uplink.sessions, &uplink.failures);
        vec![
            ("uplink.sessions", sessions.load(Ordering::Relaxed)),
            ("uplink.failures", failures.load(Ordering::Relaxed)),
        ]
    })
}

async fn shutdown(stopped: &AtomicBool, stop: &watch::Sender<bool>, uplink: JoinHandle<()>) {
    stopped.store(true, Ordering::Release);
    // The uplink holds the other end until it has stopped.
    let _ = stop.send(true);
    let _ = uplink.await;
}

/// A fresh secret for the hashes of the pipeline's tables.
#[must_use]
pub fn random_key() -> HashKey {
    HashKey((u128::from(random::u64()) << 64 | u128::from(random::u64())).to_le_bytes())
}
