//! How long something takes: in time on a core, so that a neighbour's load does not count as ours.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Rounds of each measurement; the quickest counts, since everything else is disturbance.
pub const ROUNDS: usize = 3;

/// Time that this thread spends on a core (CLOCK_THREAD_CPUTIME_ID).
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(on_core())
    }

    /// Since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        on_core().saturating_sub(self.0)
    }
}

fn on_core() -> Duration {
    let at = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(at.tv_sec.try_into().unwrap_or(0), at.tv_nsec.try_into().unwrap_or(0))
}

/// Seconds that the quickest of [`ROUNDS`] runs of `work` takes, and its last result.
///
/// # Errors
/// What `work` answers.
pub fn quickest<T>(mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let mut best = Duration::MAX;
    let mut last = None;
    for _ in 0..ROUNDS {
        let watch = Stopwatch::start();
        last = Some(work()?);
        best = best.min(watch.elapsed());
    }
    let last = last.ok_or_else(|| anyhow::anyhow!("no round was run"))?;
    Ok((best.as_secs_f64().max(1e-9), last))
}

/// Bytes per second that memory beyond the caches can be copied at.
#[must_use]
pub fn memcpy_per_second() -> f64 {
    const BYTES: usize = 256 << 20;
    let source = vec![1_u8; BYTES];
    let mut target = vec![2_u8; BYTES];
    let watch = Stopwatch::start();
    black_box(&mut target).copy_from_slice(black_box(&source));
    BYTES as f64 / watch.elapsed().as_secs_f64().max(1e-9)
}
