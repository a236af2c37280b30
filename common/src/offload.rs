//! Work that blocks, kept off the threads that serve everybody else.

use std::io;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs `work` where it may block and waits for what it gives. On a runtime of a single thread it is
/// done here and now: a simulation's order of things must not depend on another thread. So `work`
/// must not wait for a task of the same runtime.
///
/// # Errors
/// Where `work` panicked, or the runtime is shutting down.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    async fn is_elsewhere() -> bool {
        let here = thread::current().id();
        run(move || thread::current().id() != here).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn goes_to_another_thread_where_there_are_several() {
        assert!(tokio::spawn(is_elsewhere()).await.unwrap());
    }

    #[tokio::test]
    async fn stays_where_there_is_only_one() {
        assert!(!is_elsewhere().await);
    }
}
