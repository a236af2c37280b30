//! A sensor that the test plays itself: it sends what it is told to, as often and to whom it is told.

use std::sync::Mutex;

use bytes::Bytes;
use wardmesh_common::id::SensorId;
use wardmesh_common::tls::{Identity, IdentityFiles};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::{Message, Outcome};

use crate::book::Book;
use crate::client::{Client, Stream, hello};
use crate::rig::Rig;

/// Frames that are under way at once: half of what a node lets a lane have unanswered.
const AT_ONCE: usize = 16;

/// An enrolled sensor without a process.
#[derive(Debug)]
pub struct Player {
    /// Its name.
    pub name: String,
    /// Its id.
    pub sensor: SensorId,
    /// What it promised, noted by whoever plays it.
    pub book: Mutex<Book>,
    identity: Identity,
}

/// What became of a frame; an error is no answer.
pub type Told = Result<Outcome, String>;

impl Player {
    /// Enrols a sensor at a site.
    ///
    /// # Errors
    /// Where the cluster does not take it.
    pub fn enrol(rig: &Rig, name: &str, site: &str) -> anyhow::Result<Self> {
        let files = rig.with_mesh(|mesh| mesh.add_sensor(name, site, &[]))?;
        let folder = files.config.with_file_name("identity");
        let identity = Identity::load(&IdentityFiles {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            authority: folder.join("authority.pem"),
        })?;
        let (name, book) = (name.to_owned(), Mutex::new(Book::played()));
        Ok(Self { name, sensor: files.sensor, book, identity })
    }

    /// Says hello to a node under an epoch and sends frames of the bulk lane, some at once;
    /// what became of each, until the first that was not answered.
    #[must_use]
    pub fn deliver(&self, rig: &Rig, node: usize, epoch: u64, frames: &[Bytes]) -> Vec<Told> {
        let address = rig.with_mesh(|mesh| mesh.nodes()[node].ingest_address.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut told = Vec::new();
            let opened = self.open(&address, epoch).await;
            let (_client, mut bulk, _urgent) = match opened {
                Ok(opened) => opened,
                Err(cause) => return vec![Err(cause)],
            };
            for some in frames.chunks(AT_ONCE) {
                let over = exchange(&mut bulk, some, &mut told).await.is_err();
                if over {
                    break;
                }
            }
            told
        })
    }

    async fn open(&self, address: &str, epoch: u64) -> Result<(Client, Stream, Stream), String> {
        let client = Client::connect(address, &self.identity).await?;
        let mut lanes = Vec::new();
        for lane in [Lane::Bulk, Lane::Urgent] {
            let mut stream = client.stream().await?;
            match stream.greet(lane, hello(self.sensor, epoch)).await? {
                Message::Welcome(_) => lanes.push(stream),
                other => return Err(format!("no welcome: {other:?}")),
            }
        }
        let urgent = lanes.pop().ok_or("no lane")?;
        let bulk = lanes.pop().ok_or("no lane")?;
        Ok((client, bulk, urgent))
    }
}

/// Sends some frames and then reads as many answers; an error is the last that is told.
async fn exchange(stream: &mut Stream, frames: &[Bytes], told: &mut Vec<Told>) -> Result<(), ()> {
    for frame in frames {
        if let Err(cause) = stream.send(frame.clone()).await {
            told.push(Err(cause));
            return Err(());
        }
    }
    for _ in frames {
        let outcome = match stream.answer().await {
            Ok(Message::Receipt(receipt)) => Ok(receipt.outcome),
            Ok(other) => Err(format!("no receipt: {other:?}")),
            Err(cause) => Err(cause),
        };
        let over = outcome.is_err();
        told.push(outcome);
        if over {
            return Err(());
        }
    }
    Ok(())
}
