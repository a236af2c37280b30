//! One file that frames are appended to: all that waits is written and synced at once.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use tokio::sync::watch;

/// Frames that are written before a sync at most: some megabytes.
const GROUP_MAX: usize = 256;

/// The near end of the writer: frames go in order, numbered from 1.
pub(super) struct Wal {
    frames: Sender<Bytes>,
    durable: watch::Receiver<u64>,
}

impl Wal {
    /// Makes the file and starts its thread.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create_new(path)?;
        let (frames, queue) = channel();
        let (durable, watched) = watch::channel(0);
        std::thread::Builder::new().name("wal".to_owned()).spawn(move || {
            // A failed write or sync ends the process: nothing more is acknowledged.
            if write(file, &queue, &durable).is_err() {
                std::process::exit(74);
            }
        })?;
        Ok(Self { frames, durable: watched })
    }

    /// Appends a frame, in a while.
    pub(super) fn append(&self, frame: Bytes) {
        // The thread ends with the process.
        let _ = self.frames.send(frame);
    }

    /// How many frames are on disk.
    pub(super) fn durable(&self) -> watch::Receiver<u64> {
        self.durable.clone()
    }
}

fn write(
    mut file: File,
    queue: &Receiver<Bytes>,
    durable: &watch::Sender<u64>,
) -> std::io::Result<()> {
    let mut group: Vec<Bytes> = Vec::with_capacity(GROUP_MAX);
    let mut count = 0;
    while let Ok(first) = queue.recv() {
        group.push(first);
        group.extend(queue.try_iter().take(GROUP_MAX - 1));
        let mut slices: Vec<_> = group.iter().map(|frame| IoSlice::new(frame)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let written = file.write_vectored(rest)?;
            IoSlice::advance_slices(&mut rest, written);
        }
        file.sync_data()?;
        count += group.len() as u64;
        group.clear();
        durable.send_replace(count);
    }
    Ok(())
}
