//! What the demo found, asked over HTTP like anybody would.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::local::Mesh;
use crate::output::{Table, text};

/// Devices that are read at most.
const DEVICES_MAX: usize = 100_000;

/// The longest cell of the inventory, characters: six columns fit a wide terminal.
const CELL_MAX: usize = 28;

/// Rows of the inventory that are shown.
const ROWS: usize = 12;

/// The answers.
pub(super) struct Report {
    nodes: usize,
    sensors: Vec<Value>,
    sites: Vec<Value>,
    devices: Vec<Value>,
    findings: Vec<Value>,
    digests: Vec<String>,
    emitted: u64,
    pub(super) elapsed: Duration,
}

/// Events that the cluster has applied, by what its sensors' records say.
pub(super) fn events_applied(mesh: &Mesh) -> anyhow::Result<u64> {
    let sensors = mesh.nodes()[0].client().whole("/api/v1/sensors")?.items;
    Ok(sensors.iter().filter_map(|sensor| sensor["events"].as_u64()).sum())
}

impl Report {
    pub(super) fn read(mesh: &Mesh, emitted: u64) -> anyhow::Result<Self> {
        let (_, digests) = mesh.digests()?;
        let client = mesh.nodes()[0].client();
        let list = |path: &str| -> anyhow::Result<Vec<Value>> {
            Ok(client.pages(path, Vec::new(), DEVICES_MAX).collect_items()?.items)
        };
        Ok(Self {
            nodes: mesh.nodes().len(),
            sensors: client.whole("/api/v1/sensors")?.items,
            sites: client.whole("/api/v1/sites")?.items,
            devices: list("/api/v1/devices")?,
            findings: list("/api/v1/findings")?,
            digests,
            emitted,
            elapsed: Duration::ZERO,
        })
    }

    /// The object of `--once`.
    pub(super) fn summary(&self) -> Value {
        let findings = self.findings.iter();
        let findings: Vec<_> =
            findings.map(|f| json!({ "rule": f["rule"], "sites": f["sites"] })).collect();
        let applied: u64 = self.sensors.iter().filter_map(|sensor| sensor["events"].as_u64()).sum();
        json!({
            "nodes": self.nodes,
            "sites": self.sites.len(),
            "sensors": self.sensors.len(),
            "events_emitted": self.emitted,
            "events_applied": applied,
            "devices": self.devices.len(),
            "digests": self.digests,
            "findings": findings,
        })
    }

    /// The screen of the demo that stays.
    pub(super) fn print(&self, mesh: &Mesh, out: &mut dyn Write) -> anyhow::Result<()> {
        writeln!(out, "\nDevices by site and class\n")?;
        self.by_class().write(out)?;
        writeln!(out, "\nSome of the inventory\n")?;
        self.inventory().write(out)?;
        writeln!(out, "\nSeen across sites\n")?;
        self.across().write(out)?;
        let agreed = self.digests.windows(2).all(|pair| pair[0] == pair[1]);
        let agreed = if agreed { "the same" } else { "DIFFERENT" };
        writeln!(out, "\n{} nodes hold {agreed} state.\n", self.nodes)?;
        let base = format!("http://{}", mesh.nodes()[0].http_address);
        writeln!(out, "HTTP API    {base}/api/v1   (documentation: {base}/docs)\n\nTry:")?;
        writeln!(out, "  wardmesh status --server {base}")?;
        writeln!(out, "  wardmesh findings list --server {base}")?;
        writeln!(out, "  curl '{base}/api/v1/devices?class=ct-scanner'")?;
        writeln!(out, "  curl '{base}/api/v1/findings'")?;
        let device = self.devices.first().context("there are no devices")?;
        writeln!(out, "  curl '{base}/api/v1/devices/{}/evidence'", text(&device["id"]))?;
        writeln!(out, "\nStop with Ctrl-C.")?;
        Ok(())
    }

    fn by_class(&self) -> Table {
        let mut counts = BTreeMap::<(String, String), u64>::new();
        for device in &self.devices {
            let class = device["class"].as_str().unwrap_or("not known yet").to_owned();
            for site in device["sites"].as_array().into_iter().flatten() {
                *counts.entry((text(site), class.clone())).or_default() += 1;
            }
        }
        let mut table = Table::new(&["SITE", "CLASS", "DEVICES"]);
        for ((site, class), count) in counts {
            table.row([site, class, count.to_string()]);
        }
        table
    }

    fn inventory(&self) -> Table {
        let mut table = Table::new(&["MAC", "CLASS", "VENDOR", "MODEL", "NAME", "SITES"]);
        let classed = self.devices.iter().filter(|device| device["class"].is_string());
        for device in classed.take(ROWS) {
            let cell = |key: &str| shortened(&text(&device[key]));
            table.row(["macs", "class", "vendor", "model", "hostnames", "sites"].map(cell));
        }
        table
    }

    fn across(&self) -> Table {
        let mut table = Table::new(&["RULE", "SEVERITY", "SITES", "WHAT"]);
        for finding in &self.findings {
            let cell = |key: &str| text(&finding[key]);
            table.row(["rule", "severity", "sites", "title"].map(cell));
        }
        table
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(CELL_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}
