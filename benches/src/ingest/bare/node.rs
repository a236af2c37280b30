//! One process of the bare pipeline: leader where it is told of others, else follower.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use parking_lot::Mutex;
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{mpsc, watch};
use wardmesh_cli::local::identity_files;
use wardmesh_common::clock;
use wardmesh_common::link as stream;
use wardmesh_common::tls::Identity;

use super::check::Checker;
use super::wal::Wal;
use super::{address_file, link};

/// Frames that are put on a follower's stream at once.
const SENT_AT_ONCE: usize = 64;

/// Runs the process until its standard input closes.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    std::thread::spawn(|| {
        // Whatever comes in: at its end the parent has gone, or wants us to.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(serve(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            use std::io::Write;
            // The log is all there is to tell.
            let _ = writeln!(std::io::stderr(), "error: {cause:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the connections of a node share.
struct Node {
    log: Mutex<Log>,
    durable: watch::Receiver<u64>,
}

/// What must happen in one order: the check, the file, the followers, who waits.
struct Log {
    checker: Checker,
    wal: Wal,
    appended: u64,
    followers: Vec<mpsc::UnboundedSender<Bytes>>,
    waiting: VecDeque<Waiting>,
}

/// Who is told once a frame is on two disks.
struct Waiting {
    index: u64,
    seq: u64,
    answers: mpsc::UnboundedSender<u64>,
}

async fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let (folder, others) = arguments.split_first().context("a folder")?;
    let folder = Path::new(folder);
    let identity = Identity::load(&identity_files(folder))?;
    let endpoint = link::server(&identity)?;
    let wal = Wal::create(&folder.join("wal"))?;
    let durable = wal.durable();
    let (mut marks, mut followers, mut kept) = (vec![wal.durable()], Vec::new(), Vec::new());
    for other in others {
        let (endpoint, connection) = link::connect(&identity, other.parse::<SocketAddr>()?).await?;
        let (send, receive) = connection.open_bi().await?;
        let (frames, queue) = mpsc::unbounded_channel();
        let (acked, mark) = watch::channel(0);
        tokio::spawn(replicate(send, queue));
        tokio::spawn(follow(receive, acked));
        followers.push(frames);
        marks.push(mark);
        kept.push((endpoint, connection));
    }
    let leads = !others.is_empty();
    let log =
        Log { checker: Checker::default(), wal, appended: 0, followers, waiting: VecDeque::new() };
    let node = Arc::new(Node { log: Mutex::new(log), durable });
    if leads {
        tokio::spawn(commit(Arc::clone(&node), marks));
    }
    let text = endpoint.local_addr()?.to_string();
    std::fs::write(address_file(folder), text + "\n")?;
    while let Some(incoming) = endpoint.accept().await {
        let connection = incoming.await?;
        let node = Arc::clone(&node);
        tokio::spawn(async move {
            if let Err(cause) = session(&node, &connection, leads).await {
                use std::io::Write;
                // A sensor that goes is no error; anything else shows in the load's answer.
                let _ = writeln!(std::io::stderr(), "{cause:#}");
            }
        });
    }
    drop(kept);
    Ok(())
}

/// Frames in; acknowledgements out: of what two disks hold where this node leads, else of its own.
async fn session(node: &Node, connection: &Connection, leads: bool) -> anyhow::Result<()> {
    let (send, mut receive) = connection.accept_bi().await?;
    let (answers, queue) = mpsc::unbounded_channel();
    if leads {
        tokio::spawn(answer(send, queue));
    } else {
        tokio::spawn(tell(send, node.durable.clone()));
    }
    while let Some((_, frame)) = stream::receive(&mut receive).await? {
        let mut log = node.log.lock();
        let Some(header) = log.checker.check(&frame)? else { continue };
        log.appended += 1;
        if leads {
            let waiting =
                Waiting { index: log.appended, seq: header.seq, answers: answers.clone() };
            log.waiting.push_back(waiting);
        }
        for follower in &log.followers {
            let _ = follower.send(frame.clone());
        }
        log.wal.append(frame);
    }
    Ok(())
}

/// A follower's frames, as many at once as wait.
async fn replicate(
    mut send: SendStream,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
) -> anyhow::Result<()> {
    let mut frames = Vec::new();
    let mut chunks = Vec::new();
    while queue.recv_many(&mut frames, SENT_AT_ONCE).await > 0 {
        let at = clock::now().as_nanos().to_le_bytes();
        for frame in frames.drain(..) {
            let mut prefix = Vec::with_capacity(stream::PREFIX_LENGTH);
            prefix.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            prefix.extend_from_slice(&at);
            chunks.extend([Bytes::from(prefix), frame]);
        }
        send.write_all_chunks(&mut chunks).await?;
        chunks.clear();
    }
    Ok(())
}

/// How far a follower's disk is.
async fn follow(mut receive: RecvStream, acked: watch::Sender<u64>) -> anyhow::Result<()> {
    loop {
        let mut mark = [0; 8];
        receive.read_exact(&mut mark).await?;
        acked.send_replace(u64::from_le_bytes(mark));
    }
}

/// Tells the leader how far this disk is.
async fn tell(mut send: SendStream, mut durable: watch::Receiver<u64>) -> anyhow::Result<()> {
    loop {
        durable.changed().await?;
        let mark = *durable.borrow_and_update();
        send.write_all(&mark.to_le_bytes()).await?;
    }
}

/// Tells a sensor the last of its places that are on two disks.
async fn answer(
    mut send: SendStream,
    mut queue: mpsc::UnboundedReceiver<u64>,
) -> anyhow::Result<()> {
    let mut places = Vec::new();
    while queue.recv_many(&mut places, SENT_AT_ONCE).await > 0 {
        if let Some(last) = places.last() {
            send.write_all(&last.to_le_bytes()).await?;
        }
        places.clear();
    }
    Ok(())
}

/// Answers what is on two of three disks, whenever one of them has come further.
async fn commit(node: Arc<Node>, mut marks: Vec<watch::Receiver<u64>>) {
    loop {
        let mut places: Vec<u64> = marks.iter_mut().map(|mark| *mark.borrow_and_update()).collect();
        places.sort_unstable();
        let committed = places[places.len() / 2];
        {
            let mut log = node.log.lock();
            while let Some(first) = log.waiting.pop_front_if(|first| first.index <= committed) {
                let _ = first.answers.send(first.seq);
            }
        }
        let [one, two, three] = marks.as_mut_slice() else { return };
        tokio::select! {
            _ = one.changed() => {}
            _ = two.changed() => {}
            _ = three.changed() => {}
        }
    }
}
