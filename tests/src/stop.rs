//! How a long test is stopped from outside: in order, so that nothing is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Becomes true at Ctrl-C or SIGTERM.
#[must_use]
pub fn on_signals() -> Arc<AtomicBool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopped);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(wardmesh_common::shutdown::signal());
        eprintln!("stopping");
        told.store(true, Ordering::Release);
    });
    stopped
}
