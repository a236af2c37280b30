//! When a process is asked to end: SIGTERM, Ctrl-C, its terminal closed, or the end of its parent.

use tokio::signal::unix::{self, SignalKind};

/// A process with this variable ends when its standard input closes: a child cannot outlive the
/// parent that holds the other end.
pub const UNTIL_STDIN_CLOSES: &str = "WARDMESH_UNTIL_STDIN_CLOSES";

/// Completes at the first request to end.
pub async fn signal() {
    // A handler would undo what nohup(1) asked for: whether a hangup counts is settled before.
    let hangup_counts = !hangup_is_ignored();
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (unix::signal(SignalKind::terminate()), unix::signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    let orphaned = std::env::var_os(UNTIL_STDIN_CLOSES).is_some();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = hung_up(), if hangup_counts => {}
        () = stdin_closed(), if orphaned => {}
    }
}

async fn hung_up() {
    match unix::signal(SignalKind::hangup()) {
        Ok(mut hangup) => drop(hangup.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// Whether who started this process had it ignore SIGHUP.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// Whether signal 1 is among the ignored ones of `/proc/PID/status` (proc(5), `SigIgn`).
fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_is_ignored_where_the_mask_says_so() {
        for (status, ignored) in [
            ("Name:\tx\nSigIgn:\t0000000000000001\n", true),
            ("SigIgn:\t0000000000001003\n", true),
            ("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n", false),
            ("", false),
        ] {
            assert_eq!(ignores_hangup(status), ignored, "{status}");
        }
    }
}
