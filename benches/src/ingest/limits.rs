//! The machine's limits: how often and how much the disk syncs, and what one QUIC stream carries.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use wardmesh_cli::local::CLUSTER;
use wardmesh_common::tls::Principal;
use wardmesh_common::tls::authority::Authority;

use super::link;

/// How long each is measured.
const SPAN: Duration = Duration::from_millis(1_500);

/// Bytes of a small append.
const SMALL: usize = 4 * 1024;
/// Bytes of a large one.
const LARGE: usize = 1024 * 1024;

/// What the machine can do at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Appends of 4 KiB a second, each synced by fdatasync.
    pub syncs: f64,
    /// Bytes a second in appends of 1 MiB, each synced.
    pub disk_bytes: f64,
    /// Bytes a second over one QUIC stream with mutual TLS on loopback, both ends in one process.
    pub stream_bytes: f64,
}

/// Measures them; files go into `folder`.
///
/// # Errors
/// The disk's or the network's.
pub fn measure(folder: &Path, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Limits> {
    let (syncs, _) = appends(&folder.join("small"), SMALL)?;
    let (_, disk_bytes) = appends(&folder.join("large"), LARGE)?;
    let stream_bytes = runtime.block_on(stream())?;
    Ok(Limits { syncs, disk_bytes, stream_bytes })
}

/// Synced appends and bytes a second.
fn appends(path: &Path, length: usize) -> anyhow::Result<(f64, f64)> {
    let mut file = File::create(path)?;
    let bytes: Vec<u8> = (0..length).map(|at| (at * 31) as u8).collect();
    let begun = Instant::now();
    let mut count = 0.0;
    while begun.elapsed() < SPAN {
        file.write_all(&bytes)?;
        file.sync_data()?;
        count += 1.0;
    }
    let rate = count / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok((rate, rate * length as f64))
}

async fn stream() -> anyhow::Result<f64> {
    let authority = Authority::new("wardmesh plain stream")?;
    let node = |node| Principal::Node { cluster: CLUSTER.to_owned(), node };
    let server = link::server(&authority.issue(&node(1))?.identity())?;
    let address = server.local_addr()?;
    let reading = tokio::spawn(async move {
        let connection = server.accept().await.context("no connection")?.await?;
        let (mut send, mut receive) = connection.accept_bi().await?;
        let mut total = 0_u64;
        while let Some(chunk) = receive.read_chunk(LARGE, true).await? {
            total += chunk.bytes.len() as u64;
        }
        // The end is told, so that what is on its way counts as time.
        send.write_all(&total.to_le_bytes()).await?;
        send.finish()?;
        connection.closed().await;
        anyhow::Ok(())
    });
    let identity = authority.issue(&node(2))?.identity();
    let (_endpoint, connection) = link::connect(&identity, address).await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let bytes = Bytes::from(vec![7; LARGE]);
    let begun = Instant::now();
    while begun.elapsed() < SPAN {
        send.write_chunk(bytes.clone()).await?;
    }
    send.finish()?;
    let total = receive.read_to_end(8).await?;
    let seconds = begun.elapsed().as_secs_f64();
    connection.close(0_u32.into(), b"");
    reading.await??;
    let total = total.first_chunk().context("no total")?;
    Ok(u64::from_le_bytes(*total) as f64 / seconds)
}
