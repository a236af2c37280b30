//! When a process is asked to end: SIGTERM, Ctrl-C, or the end of its parent.

use tokio::signal::unix::{self, SignalKind};

/// A process with this variable ends when its standard input closes: a child cannot outlive the
/// parent that holds the other end.
pub const UNTIL_STDIN_CLOSES: &str = "WARDMESH_UNTIL_STDIN_CLOSES";

/// Completes at the first request to end.
pub async fn signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (unix::signal(SignalKind::terminate()), unix::signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    let orphaned = std::env::var_os(UNTIL_STDIN_CLOSES).is_some();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_closed(), if orphaned => {}
    }
}

async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    // A thread of its own: a read from standard input cannot be cancelled and would hold the runtime.
    let reader = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        // An error is an end as well.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    match reader {
        Ok(_) => drop(wait.await),
        Err(_) => std::future::pending().await,
    }
}
