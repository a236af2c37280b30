//! `query`: pages of devices from a node on one core, with 100,000 devices in its state and ingest
//! running.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use wardmesh_benches::client::{Batches, Enrolled, Session, enrol, socket};
use wardmesh_benches::cluster::{self, Cluster, option};
use wardmesh_benches::events::mixed;
use wardmesh_benches::latencies::Latencies;
use wardmesh_benches::process::Usage;
use wardmesh_benches::report::{Report, Target};
use wardmesh_common::clock;
use wardmesh_common::event::Event;
use wardmesh_common::net::MacAddress;

/// Connections that ask at once, each for one page after the other.
const READERS: usize = 4;

/// Batches under way while the devices are introduced.
const WINDOW: usize = 16;

/// Events of a batch while the devices are introduced: as many of the largest kind as fit.
const INTRODUCED: u64 = 200;

/// Events of a batch while pages are read.
const BATCH: u64 = 50;

/// Rows of a page.
const PAGE: usize = 100;

/// Vendors and classes repeat after so many devices: a filter by one of them matches this part.
const KINDS: u64 = 20;

/// Address blocks (IEEE OUI) of makers, in turn.
const BLOCKS: [[u8; 3]; 4] = [[0, 9, 0xfb], [0, 0x50, 0x56], [0, 0x1b, 0x21], [0, 0x04, 0xac]];

fn main() -> ExitCode {
    cluster::main(bench)
}

fn bench() -> anyhow::Result<()> {
    let devices = option("--devices", 100_000)?;
    let seconds = option("--seconds", 3)?;
    let rate = option("--rate", 5_000)?;
    let cluster = Cluster::found()?;
    let enrolled = enrol(&cluster.mesh, "ward", 1, 1)?.pop().context("a sensor")?;
    let sensor = enrolled.sensor;
    let mut writer = Writer::new(enrolled, devices);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let leader = cluster.leader()?;
    let place = (leader + 1) % cluster.mesh.nodes().len();
    let ingest = cluster.mesh.nodes()[leader].ingest_address.clone();
    runtime.block_on(writer.introduce(&ingest))?;
    let node = &cluster.mesh.nodes()[place];
    let pid = node.child().context("the node has ended")?.id();
    pin_apart(&cluster, pid)?;
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let ingesting =
        runtime.spawn(writer.write(ingest, rate, Arc::clone(&stop), Arc::clone(&written)));
    let mut report = Report::new("query");
    let paths = paths(&node.http_address)?;
    let (mut slowest, mut longest) = (f64::INFINITY, 0.0_f64);
    for (what, path, aim) in &paths {
        let run = read(&node.http_address, path, pid, Duration::from_secs(seconds), &written)?;
        report.section(format!("{what}: GET {path}"));
        run.report(&mut report, *aim);
        if matches!(aim, Aim::List) {
            anyhow::ensure!(run.rows == PAGE, "{what}: {} rows make no page of {PAGE}", run.rows);
            slowest = slowest.min(run.rate());
            longest = longest.max(run.latencies.millis(990));
        }
    }
    stop.store(true, Ordering::Release);
    let events = runtime.block_on(ingesting)??;
    cluster::verify(&cluster.mesh, &[(sensor, events)])?;
    report.summary("slowest_list_per_s", slowest.round());
    report.summary("longest_list_p99_ms", longest);
    // A run that is not verified ends the bench with an error.
    report.summary("verified", true);
    report.print()?;
    cluster.mesh.stop()
}

/// What a kind of request should come to.
#[derive(Clone, Copy)]
enum Aim {
    /// A page of the list.
    List,
    /// A page of few rows, for which the whole state may have to be looked through.
    Rare,
    /// One device.
    Device,
}

fn paths(address: &str) -> anyhow::Result<Vec<(&'static str, String, Aim)>> {
    let first = once(address, "/api/v1/devices?limit=1&consistency=local")?;
    let first: serde_json::Value = serde_json::from_str(&first)?;
    let id = first["data"][0]["id"].as_str().context("a device")?.to_owned();
    let list = |filter: &str| format!("/api/v1/devices?limit={PAGE}&consistency=local{filter}");
    let vendor = first["data"][0]["vendor"].as_str().context("a vendor")?.replace(' ', "+");
    Ok(vec![
        ("all devices", list(""), Aim::List),
        ("of one site", list("&site=ward"), Aim::List),
        ("of one maker of four", list(&format!("&vendor={vendor}")), Aim::List),
        ("of one class, one of twenty", list("&class=printer"), Aim::List),
        ("of one class at one site", list("&class=printer&site=ward"), Aim::List),
        ("seen lately", list("&seen_since=-24h"), Aim::List),
        ("of a class that many were", list("&class=ip-phone"), Aim::Rare),
        ("of a class that nothing is", list("&class=mammography"), Aim::Rare),
        ("under one address", list("&ip=10.0.1.2"), Aim::Rare),
        ("one device", format!("/api/v1/devices/{id}?consistency=local"), Aim::Device),
    ])
}

/// The node that answers has the first core for itself, all else shares the others.
fn pin_apart(cluster: &Cluster, pid: u32) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let (mut first, mut others) = (CpuSet::new(), CpuSet::new());
    first.set(0);
    (0..cores).skip(usize::from(cores > 1)).for_each(|core| others.set(core));
    for node in cluster.mesh.nodes().iter().filter_map(|node| node.child()) {
        pin(node.id(), if node.id() == pid { &first } else { &others })?;
    }
    pin(std::process::id(), &others)
}

/// Every thread of a process, and so those that they start.
fn pin(pid: u32, cores: &CpuSet) -> anyhow::Result<()> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let thread = thread.file_name().to_string_lossy().parse::<i32>()?;
        // A thread may have ended since.
        let _ = sched_setaffinity(Pid::from_raw(thread), cores);
    }
    Ok(())
}

/// What came of asking for a while.
struct Run {
    latencies: Latencies,
    seconds: f64,
    bytes: usize,
    rows: usize,
    cpu: f64,
    ingested: f64,
}

impl Run {
    /// Requests a second.
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    fn report(&self, report: &mut Report, aim: Aim) {
        let count = self.latencies.len().max(1) as f64;
        let rate = self.rate();
        let (p50, p99) = (self.latencies.millis(500), self.latencies.millis(990));
        match aim {
            Aim::List => {
                report.target("requests", rate, "requests/s", Target::AtLeast(2_000.0));
                report.figure("answer, p50", p50, "ms");
                report.target("answer, p99", p99, "ms", Target::AtMost(10.0));
                let row = self.bytes as f64 / self.rows.max(1) as f64;
                report.target("a row", row, "bytes", Target::AtMost(400.0));
            }
            Aim::Rare => {
                report.figure("requests", rate, "requests/s");
                report.figure("answer, p50", p50, "ms");
                report.target("answer, p99", p99, "ms", Target::AtMost(10.0));
            }
            Aim::Device => {
                report.figure("requests", rate, "requests/s");
                report.figure("answer, p50", p50, "ms");
                report.target("answer, p99", p99, "ms", Target::AtMost(2.0));
                report.figure("answer", self.bytes as f64, "bytes");
            }
        }
        report.figure("the node's CPU, all that it does", 1e6 * self.cpu / count, "µs/request");
        report.figure("ingest meanwhile", self.ingested / self.seconds, "events/s");
    }
}

fn read(
    address: &str,
    path: &str,
    pid: u32,
    span: Duration,
    written: &AtomicU64,
) -> anyhow::Result<Run> {
    let answer = once(address, path)?;
    let body: serde_json::Value = serde_json::from_str(&answer)?;
    let rows = body["data"].as_array().map_or(0, Vec::len);
    let before = (Usage::of(pid).unwrap_or_default(), written.load(Ordering::Relaxed));
    let (begun, deadline) = (Instant::now(), Instant::now() + span);
    let latencies = std::thread::scope(|scope| {
        // One device is asked for by one reader: what counts is how long it takes.
        let readers = if rows == 0 && body["id"].is_string() { 1 } else { READERS };
        let readers: Vec<_> =
            (0..readers).map(|_| scope.spawn(|| ask(address, path, deadline))).collect();
        let mut all = Latencies::default();
        for reader in readers {
            let one = reader.join().map_err(|_| anyhow::anyhow!("a reader failed"))?;
            all.append(one?);
        }
        anyhow::Ok(all)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = (Usage::of(pid).unwrap_or_default(), written.load(Ordering::Relaxed));
    Ok(Run {
        latencies,
        seconds,
        bytes: answer.len(),
        rows,
        cpu: after.0.cpu_seconds - before.0.cpu_seconds,
        ingested: (after.1 - before.1) as f64,
    })
}

/// One answer's body.
fn once(address: &str, path: &str) -> anyhow::Result<String> {
    let mut connection = Http::connect(address)?;
    let length = connection.get(path)?;
    Ok(String::from_utf8_lossy(&connection.body[..length]).into_owned())
}

/// Asks again and again on one connection.
fn ask(address: &str, path: &str, deadline: Instant) -> anyhow::Result<Latencies> {
    let mut connection = Http::connect(address)?;
    let mut latencies = Latencies::default();
    while Instant::now() < deadline {
        let begun = Instant::now();
        connection.get(path)?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

/// As little of HTTP/1.1 as reads an answer: the reader must not be what is measured.
struct Http {
    stream: BufReader<TcpStream>,
    address: String,
    line: String,
    body: Vec<u8>,
}

impl Http {
    fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let (line, body) = (String::new(), Vec::new());
        let stream = BufReader::with_capacity(64 << 10, stream);
        Ok(Self { stream, address: address.to_owned(), line, body })
    }

    /// Reads the answer into `body` and returns its length.
    fn get(&mut self, path: &str) -> anyhow::Result<usize> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut length, mut ok) = (0, false);
        loop {
            self.line.clear();
            anyhow::ensure!(self.stream.read_line(&mut self.line)? > 0, "the node has hung up");
            let line = self.line.trim_end();
            match line.split_once(':') {
                None if line.is_empty() => break,
                None => ok = line.contains(" 200 "),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse()?;
                }
                Some(_) => {}
            }
        }
        self.body.resize(length.max(self.body.len()), 0);
        self.stream.read_exact(&mut self.body[..length])?;
        let text = || String::from_utf8_lossy(&self.body[..length]).into_owned();
        anyhow::ensure!(ok, "{path}: {}", text());
        Ok(length)
    }
}

/// The sensor that sees the devices.
struct Writer {
    enrolled: Enrolled,
    devices: u64,
    next: u64,
}

impl Writer {
    fn new(enrolled: Enrolled, devices: u64) -> Self {
        Self { enrolled, devices, next: 0 }
    }

    /// Of twenty devices one is a printer, which speaks no DICOM: that would weigh more. Another is taken
    /// for a telephone until it does. Makers take turns.
    fn event(&self, number: u64) -> Event {
        let mut event = mixed(number, self.devices, clock::now());
        let station = number % self.devices;
        if let Some(MacAddress(mac)) = &mut event.device.mac {
            let block = BLOCKS[(station % BLOCKS.len() as u64) as usize];
            mac[..3].copy_from_slice(&block);
        }
        let class = match station % KINDS {
            0 => "Hewlett-Packard JetDirect",
            1 => "Cisco Systems, Inc. IP Phone",
            _ => return event,
        };
        if station.is_multiple_of(KINDS) {
            event.attributes.retain(|said| !said.key.starts_with("dicom."));
        }
        for said in event.attributes.iter_mut().filter(|said| said.key == "dhcp.vendor_class") {
            said.values = vec![class.to_owned()];
        }
        event
    }

    /// Sends every kind of event of every device, as fast as it goes.
    async fn introduce(&mut self, address: &str) -> anyhow::Result<()> {
        let endpoint = socket()?;
        let mut session = Session::open(&endpoint, &self.enrolled, address, 1).await?;
        let mut batches = Batches::new(self.enrolled.sensor, 1);
        let all = 10 * self.devices;
        while self.next < all {
            let numbers = self.next..(self.next + INTRODUCED).min(all);
            self.next = numbers.end;
            session.send(batches.seal(numbers.map(|number| self.event(number)))?).await?;
            if session.under_way() == WINDOW {
                session.settle().await?;
            }
        }
        while session.under_way() > 0 {
            session.settle().await?;
        }
        session.close();
        endpoint.wait_idle().await;
        Ok(())
    }

    /// Goes on at a rate until `stop`; counts what was acknowledged, and returns the sum of all.
    async fn write(
        mut self,
        address: String,
        rate: u64,
        stop: Arc<AtomicBool>,
        written: Arc<AtomicU64>,
    ) -> anyhow::Result<u64> {
        let endpoint = socket()?;
        let mut session = Session::open(&endpoint, &self.enrolled, &address, 2).await?;
        let mut batches = Batches::new(self.enrolled.sensor, 2);
        let mut pace =
            tokio::time::interval(Duration::from_secs_f64(BATCH as f64 / rate.max(1) as f64));
        while !stop.load(Ordering::Acquire) {
            pace.tick().await;
            let numbers = self.next..self.next + BATCH;
            self.next = numbers.end;
            session.send(batches.seal(numbers.map(|number| self.event(number)))?).await?;
            session.settle().await?;
            written.fetch_add(BATCH, Ordering::Relaxed);
        }
        session.close();
        Ok(self.next)
    }
}
