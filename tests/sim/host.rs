//! A machine of the simulation: a runtime of its own, dropped where it crashes, and what outlives it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::clock::{self, Here};
use crate::dice::Dice;
use crate::disk::SensorDisk;
use crate::log::LogDisk;
use crate::node::Running;
use crate::sensor::Tap;

/// What a host is for.
pub(crate) enum Role {
    Node { log: LogDisk, data: PathBuf, running: Running },
    Sensor { disk: Arc<Mutex<SensorDisk>>, tap: Arc<Tap> },
}

pub(crate) struct Host {
    pub(crate) role: Role,
    /// How often it was started.
    pub(crate) run: u64,
    /// It is stopped as by SIGSTOP until then.
    pub(crate) frozen_until: Option<Duration>,
    pub(crate) skew: Arc<AtomicI64>,
    runtime: Option<(Runtime, Here)>,
}

impl Host {
    pub(crate) fn new(role: Role) -> Self {
        let skew = Arc::new(AtomicI64::new(0));
        Self { role, run: 0, frozen_until: None, skew, runtime: None }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.runtime.is_some()
    }

    /// Boots at a simulated time; nothing runs yet.
    pub(crate) fn boot(&mut self, now: Duration, dice: Dice) {
        self.run += 1;
        self.frozen_until = None;
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
        let started = {
            let _within = runtime.enter();
            Instant::now()
        };
        let dice = Arc::new(Mutex::new(dice));
        let here = Here { base: now, started, skew: Arc::clone(&self.skew), dice };
        self.runtime = Some((runtime, here));
    }

    /// Begins a task on it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some((runtime, here)) = &self.runtime {
            clock::enter(Some(here.clone()));
            drop(runtime.spawn(task));
            clock::enter(None);
        }
    }

    /// Runs until a simulated time, unless it is down or frozen.
    pub(crate) fn run_until(&mut self, until: Duration) {
        let Some((runtime, here)) = &self.runtime else { return };
        if self.frozen_until.is_some_and(|thaw| until < thaw) {
            return;
        }
        let deadline = here.started + (until - here.base);
        clock::enter(Some(here.clone()));
        if self.frozen_until.take().is_some() {
            runtime.block_on(async {
                let missed = deadline - Instant::now();
                tokio::time::advance(missed.saturating_sub(Duration::from_millis(1))).await;
            });
        }
        runtime.block_on(async { tokio::time::sleep_until(deadline).await });
        clock::enter(None);
    }

    /// Everything that runs on it ends here and now.
    pub(crate) fn crash(&mut self) {
        if let Some((runtime, here)) = self.runtime.take() {
            clock::enter(Some(here));
            drop(runtime);
            clock::enter(None);
        }
    }
}
