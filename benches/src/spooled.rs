//! A spool on the disk and the product's own uplink, as one sensor has them.

use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context, ensure};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wardmesh_cli::local::CLUSTER;
use wardmesh_common::id::SensorId;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::v1::BatchBuilder;
use wardmesh_common::{clock, random};
use wardmesh_sensor::batch::Archive;
use wardmesh_sensor::spool::{Answer, Kept, Spool};
use wardmesh_sensor::uplink::{Uplink, UplinkConfig};

use crate::client::Enrolled;
use crate::events::mixed;

/// Devices that the sensor sees.
const DEVICES: u64 = 2_000;

/// Bytes that a spool may hold: more than any bench puts into one.
const BUDGET: u64 = 8 << 30;

/// Batches that are handed over before the first is waited for: the writer syncs them together.
const HANDED_OVER: usize = 64;

/// A sensor's spool, and its uplink once it was connected.
pub struct Spooled {
    sensor: SensorId,
    spool: Spool,
    uplink: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Spooled {
    /// An empty spool in a folder.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(folder: &Path, sensor: SensorId) -> anyhow::Result<Self> {
        let (spool, _) = Spool::open(folder, BUDGET, random::u64(), None)?;
        Ok(Self { sensor, spool, uplink: None })
    }

    /// Whose it is.
    #[must_use]
    pub fn sensor(&self) -> SensorId {
        self.sensor
    }

    /// Events acknowledged so far.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.spool.counts().acked.load(Ordering::Acquire)
    }

    /// Puts events in, in batches that are as full as a sensor makes them, and waits until all are
    /// synced.
    ///
    /// # Errors
    /// Where the disk fails or has no room.
    pub fn fill(&self, events: u64) -> anyhow::Result<()> {
        let mut answers = Vec::with_capacity(HANDED_OVER);
        let mut builder = BatchBuilder::new(self.sensor, &["eth0".to_owned()]);
        for number in 0..events {
            let event = mixed(number, DEVICES, clock::now());
            if !builder.has_room(&event) {
                let next = BatchBuilder::new(self.sensor, &["eth0".to_owned()]);
                answers.push(self.offer(std::mem::replace(&mut builder, next))?);
            }
            builder.push_owned(event);
            if answers.len() == HANDED_OVER {
                answers.drain(..).try_for_each(settle)?;
            }
        }
        answers.push(self.offer(builder)?);
        answers.into_iter().try_for_each(settle)
    }

    /// Hands one batch over.
    ///
    /// # Errors
    /// Where the spool has ended.
    pub fn offer(&self, builder: BatchBuilder) -> anyhow::Result<Answer> {
        let (bytes, events) = builder.finish().context("an archive")?;
        Ok(self.spool.offer(Archive { lane: Lane::Bulk, bytes, events })?)
    }

    /// Starts the uplink to these addresses, on the current runtime.
    pub fn connect(&mut self, enrolled: &Enrolled, addresses: Vec<String>) {
        let config = UplinkConfig { addresses, ..UplinkConfig::default() };
        let (cluster, identity) = (CLUSTER.to_owned(), enrolled.identity.clone());
        let uplink = Uplink::new(config, cluster, self.sensor, identity, self.spool.clone());
        let (stop, stopping) = watch::channel(false);
        self.uplink = Some((stop, tokio::spawn(uplink.run(stopping))));
    }

    /// Ends the uplink; returns what was acknowledged to the sensor.
    pub async fn stop(self) -> (SensorId, u64) {
        if let Some((stop, uplink)) = self.uplink {
            let _ = stop.send(true);
            let _ = uplink.await;
        }
        self.spool.settled().await;
        (self.sensor, self.spool.counts().acked.load(Ordering::Acquire))
    }
}

fn settle(answer: Answer) -> anyhow::Result<()> {
    let kept = answer.wait()?;
    ensure!(kept == Kept::Emitted, "the spool is full: {kept:?}");
    Ok(())
}
