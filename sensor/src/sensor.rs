//! The composition root: identity, spool, uplink and feed, put together and taken down in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wardmesh_common::map::HashKey;
use wardmesh_common::tls::{Identity, Principal};

use crate::config::Config;
use crate::feed::{Fed, Feed, FeedError, Lost};
use crate::ledger::Ledger;
use crate::spool::Spool;
use crate::uplink::{Uplink, random};

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
    feed: JoinHandle<anyhow::Result<Fed>>,
}

/// How often the end of draining is looked at.
const DRAIN_POLL: Duration = Duration::from_millis(20);

impl Sensor {
    /// Opens the spool, starts the uplink, and begins to read `files`.
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
        let ledger = ledger
            .map(|path| Ledger::open(&path).with_context(|| path.display().to_string()))
            .transpose()?;
        let (folder, budget) = (&config.spool.folder, config.spool.budget_bytes);
        let (spool, aside) = Spool::open(folder, budget, random(), ledger)?;
        let mut lost = Lost::default();
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
        let key = random_key();
        Ok(Self {
            spool,
            stop,
            stopped,
            uplink: tokio::spawn(uplink.run(stopping)),
            feed: tokio::task::spawn_blocking(move || Ok(feed.run(&files, key)?)),
        })
    }

    /// Waits until the files are read and everything is acknowledged, then stops.
    ///
    /// # Errors
    /// Where a file is no capture, or the spool failed.
    pub async fn drain(mut self) -> anyhow::Result<Summary> {
        let fed = (&mut self.feed).await??;
        while !self.spool.is_drained() {
            anyhow::ensure!(!self.spool.has_failed(), "the spool has failed; see the log above");
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.shutdown().await;
        let counts = self.spool.counts();
        Ok(Summary {
            fed,
            events_emitted: counts.emitted.load(Ordering::Acquire),
            events_acked: counts.acked.load(Ordering::Acquire),
            events_dead: counts.dead.load(Ordering::Acquire),
        })
    }

    /// Runs until `signal` completes; what is unacknowledged stays in the spool.
    ///
    /// # Errors
    /// Where a file is no capture, or the spool failed.
    pub async fn run_until(mut self, signal: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::pin!(signal);
        tokio::select! {
            fed = &mut self.feed => {
                match fed? {
                    Ok(fed) => tracing::info!(fed.frames, fed.events, "the captures are read"),
                    // What was read is on its way; a restart would read it all again. The feed has
                    // named each file with its cause.
                    Err(cause) if is_no_capture(&cause) => {
                        tracing::error!("not every capture could be read");
                    }
                    Err(cause) => tracing::error!(%cause, "the captures cannot be read on"),
                }
                let failed = tokio::select! {
                    () = &mut signal => false,
                    () = self.spool.failed() => true,
                };
                self.shutdown().await;
                anyhow::ensure!(!failed, "the spool has failed; see the log above");
            }
            () = &mut signal => {
                self.shutdown().await;
                (&mut self.feed).await??;
            }
        }
        Ok(())
    }

    async fn shutdown(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // The uplink holds the other end until it has stopped.
        let _ = self.stop.send(true);
        let _ = (&mut self.uplink).await;
    }
}

fn is_no_capture(cause: &anyhow::Error) -> bool {
    matches!(cause.downcast_ref(), Some(FeedError::Capture(_)))
}

/// A fresh secret for the hashes of the pipeline's tables.
#[must_use]
pub fn random_key() -> HashKey {
    HashKey((u128::from(random()) << 64 | u128::from(random())).to_le_bytes())
}
