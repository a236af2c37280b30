//! `wardmesh simulate`: a small hospital's traffic as a capture file.
//!
//! [`Scenario::traffic`] is a pure generator: the same scenario gives the same frames, byte for
//! byte. [`run`] is the edge that writes them. Devices, makers' products and the patient are
//! invented.

mod arp;
mod dhcp;
mod dicom;
mod dimse;
mod dns;
mod hl7;
mod hospital;
mod http;
mod lldp;
mod mdns;
mod patient;
mod pcap;
mod rng;
mod role;
mod schedule;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;
mod visitors;
mod wire;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use wardmesh_common::time::Timestamp;

pub use traffic::Traffic;

/// The longest scenario, minutes: a week. Longer ones belong into several files.
const MINUTES_MAX: u32 = 7 * 24 * 60;
/// The highest rate, per mille: a device's shortest interval, 20 seconds, becomes a fifth of a
/// second.
const RATE_MAX: u32 = 100_000;
/// The latest start, seconds since the epoch: pcap counts them in 32 bits, and the capture lasts.
const START_MAX: u64 = u32::MAX as u64 - MINUTES_MAX as u64 * 60;

/// What is to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The site's name: lower-case letters, digits and hyphens. Sites `a`, `b` and `c` share
    /// visitors.
    pub site: String,
    /// Decides addresses, contents and times; the same seed gives the same bytes.
    pub seed: u64,
    /// Devices of the site's own, servers included; 18 to 60,000.
    pub devices: u32,
    /// Length of the capture, minutes; 1 to 10,080 (a week).
    pub minutes: u32,
    /// How often devices speak, in per mille of the usual rate; 1 to 100,000.
    pub rate_per_mille: u32,
    /// When the capture begins; until the end of January 2106, since pcap counts 32 bits of
    /// seconds.
    pub start: Timestamp,
}

impl Scenario {
    /// The usual five minutes of a site with 26 devices, from 2026-01-05T08:00:00Z.
    #[must_use]
    pub fn of_site(site: &str, seed: u64) -> Self {
        let start = Timestamp::from_parts(1_767_600_000, 0);
        let site = site.to_owned();
        Self { site, seed, devices: 26, minutes: 5, rate_per_mille: 1_000, start }
    }

    /// Writes the frames as a pcap file and returns how many there are.
    ///
    /// # Errors
    /// Where the file cannot be written; its path is named.
    pub fn write(&self, path: &Path) -> anyhow::Result<u64> {
        let create = || File::create(path).map(BufWriter::new);
        let written = create().and_then(|mut out| write(self, &mut out));
        Ok(written.with_context(|| format!("cannot write {}", path.display()))?.frames)
    }

    /// The frames, Ethernet without check sequence, in the order of time. Made as they are asked
    /// for.
    ///
    /// A field outside its range is taken for the range's nearer end.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic::new(&Self {
            site: self.site.clone(),
            seed: self.seed,
            devices: self.devices.clamp(hospital::DEVICES_MIN, hospital::DEVICES_MAX),
            minutes: self.minutes.clamp(1, MINUTES_MAX),
            rate_per_mille: self.rate_per_mille.clamp(1, RATE_MAX),
            start: self.start.min(Timestamp::from_parts(START_MAX, 0)),
        })
    }
}

/// What a scenario came to.
struct Counts {
    devices: usize,
    frames: u64,
}

/// Write a small hospital's traffic as a pcap file.
///
/// CT, MR, PACS, infusion pumps with their server, patient monitors with their central station, an
/// HL7 engine, a record system, a lab analyser, PCs, a printer, a camera, a switch and a router
/// speak DHCP, ARP, DNS, mDNS, LLDP, TLS, HTTP, DICOM and HL7. The same flags give the same bytes.
///
/// All sites use 10.20.0.0/16. Between sites a and b an ultrasound moves (first 40 % of the time at
/// a, last 40 % at b); sites b and c have a pump with one MAC address at the same time. Generate
/// the sites with one start and one length for these to hold. All patients are named CANARY.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The capture file to write; an existing one is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The site's name: 1 to 16 lower-case letters, digits and hyphens.
    #[arg(long, default_value = "a", value_parser = site)]
    pub site: String,
    /// The number that decides addresses, contents and times.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many devices the site has, servers included, visitors on top: 18 to 60000.
    #[arg(long, value_name = "N", default_value_t = 26,
        value_parser = within(hospital::DEVICES_MIN, hospital::DEVICES_MAX))]
    pub devices: u32,
    /// How long the capture lasts: 1 to 10080 minutes.
    #[arg(long, value_name = "M", default_value_t = 5, value_parser = within(1, MINUTES_MAX))]
    pub minutes: u32,
    /// How often devices speak: 1 is a pump report every 20 seconds; 0.001 to 100.
    #[arg(long, value_name = "R", default_value = "1", value_parser = rate_per_mille)]
    pub rate: u32,
    /// When the capture begins, RFC 3339.
    #[arg(long, value_name = "TIME", default_value = "2026-01-05T08:00:00Z", value_parser = start)]
    pub start: Timestamp,
}

impl From<&Args> for Scenario {
    fn from(args: &Args) -> Self {
        Self {
            site: args.site.clone(),
            seed: args.seed,
            devices: args.devices,
            minutes: args.minutes,
            rate_per_mille: args.rate,
            start: args.start,
        }
    }
}

/// Writes the capture and says on stderr, in one line, what is in it.
///
/// # Errors
///
/// When the file cannot be written; the message names it.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let path = args.output.display();
    let file = File::create(&args.output).with_context(|| format!("cannot create {path}"))?;
    let mut out = BufWriter::new(file);
    let counts =
        write(&Scenario::from(args), &mut out).with_context(|| format!("cannot write {path}"))?;
    let (site, seed) = (&args.site, args.seed);
    let summary = format!(
        "{path}: site {site}, seed {seed}: {} devices, {} frames in {} minutes from {}\n",
        counts.devices, counts.frames, args.minutes, args.start
    );
    // The capture is written; a closed stderr does not undo that.
    let _ = std::io::stderr().write_all(summary.as_bytes());
    Ok(())
}

/// Writes a scenario as a capture.
fn write(scenario: &Scenario, out: &mut impl Write) -> std::io::Result<Counts> {
    pcap::header(out)?;
    let mut traffic = scenario.traffic();
    for (at, frame) in &mut traffic {
        pcap::record(out, at, &frame)?;
    }
    out.flush()?;
    Ok(traffic.counts())
}

fn site(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=16).contains(&text.len()) && text.bytes().all(allowed);
    let good = good && !text.starts_with('-') && !text.ends_with('-');
    good.then(|| text.to_owned())
        .ok_or_else(|| "a site is 1 to 16 of a-z, 0-9 and inner hyphens".to_owned())
}

fn within(low: u32, high: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(low)..=i64::from(high))
}

fn rate_per_mille(text: &str) -> Result<u32, String> {
    let rate: f64 = text.parse().map_err(|_| "a rate is a number such as 1 or 2.5".to_owned())?;
    let good = (0.001..=f64::from(RATE_MAX) / 1_000.0).contains(&rate);
    good.then(|| (rate * 1_000.0).round() as u32)
        .ok_or_else(|| format!("a rate lies between 0.001 and {}", RATE_MAX / 1_000))
}

fn start(text: &str) -> Result<Timestamp, String> {
    let start: Timestamp = text.parse().map_err(|error| format!("{error}"))?;
    let good = start <= Timestamp::from_parts(START_MAX, 0);
    good.then_some(start).ok_or_else(|| "a capture begins before February 2106".to_owned())
}
