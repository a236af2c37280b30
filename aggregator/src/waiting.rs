//! A start waits for room instead of failing over and over: opening the volume writes to it.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use wardmesh_common::space::Space;

use crate::http;

/// Returns as soon as there is room; answers on both listeners meanwhile.
///
/// # Errors
/// Where the system has no more descriptors.
pub(crate) async fn for_room(
    space: &Arc<Space>,
    api: TcpListener,
    probes: TcpListener,
) -> anyhow::Result<(TcpListener, TcpListener)> {
    if space.obstacle().is_none() {
        return Ok((api, probes));
    }
    let (stop, stopping) = watch::channel(());
    let router = http::waiting_router(Arc::clone(space));
    let mut kept = Vec::new();
    let mut serving = Vec::new();
    for listener in [api, probes] {
        let listener = listener.into_std()?;
        let own = TcpListener::from_std(listener.try_clone()?)?;
        serving.push(tokio::spawn(http::serve(own, router.clone(), ended(stopping.clone()))));
        kept.push(listener);
    }
    space.wait_for_room(|obstacle| tracing::error!(obstacle, "the start waits for room")).await;
    tracing::info!(free = space.room().free, "there is room: starting");
    drop(stop);
    for task in serving {
        task.await?;
    }
    let mut listeners = kept.into_iter().map(TcpListener::from_std);
    let mut next = || listeners.next().context("a listener")?.context("a listener");
    Ok((next()?, next()?))
}

async fn ended(mut stopping: watch::Receiver<()>) {
    while stopping.changed().await.is_ok() {}
}
