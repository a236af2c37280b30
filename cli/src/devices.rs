//! `wardmesh devices`: what is on the network, and why we believe it.

use std::io::Write;

use clap::Subcommand;
use wardmesh_common::id::DeviceId;

use crate::access::Access;
use crate::failure::Failure;
use crate::list::{self, Limit, query, repeated};
use crate::output::{self, Column, at};

const LIST: &[Column] = &[
    Column { heading: "ID", cell: |device| at(device, "/id") },
    Column { heading: "SITES", cell: |device| at(device, "/sites") },
    Column { heading: "CLASS", cell: |device| at(device, "/class") },
    Column { heading: "VENDOR", cell: |device| at(device, "/vendor") },
    Column { heading: "MODEL", cell: |device| at(device, "/model") },
    Column { heading: "MAC", cell: |device| at(device, "/macs") },
    Column { heading: "IP", cell: |device| at(device, "/ips") },
    Column { heading: "NAME", cell: |device| at(device, "/hostnames") },
    Column { heading: "LAST SEEN", cell: |device| at(device, "/last_seen") },
];

const EVIDENCE: &[Column] = &[
    Column { heading: "FIELD", cell: |row| at(row, "/field") },
    Column { heading: "VALUE", cell: |row| at(row, "/value") },
    Column { heading: "SOURCE", cell: |row| at(row, "/source") },
    Column { heading: "WEIGHT", cell: |row| at(row, "/weight") },
    Column { heading: "FIRST SEEN", cell: |row| at(row, "/first_seen") },
    Column { heading: "LAST SEEN", cell: |row| at(row, "/last_seen") },
    Column { heading: "SITE", cell: |row| at(row, "/site") },
    Column { heading: "SIGHTINGS", cell: |row| at(row, "/sightings") },
];

/// Devices: what is on the network
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    wardmesh devices list --site a\n  \
    wardmesh devices get dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX\n  \
    wardmesh devices evidence dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List devices; filters that are repeated widen, different ones narrow
    #[command(after_help = "Examples:\n  wardmesh devices list --site a --class ct-scanner\n  \
        wardmesh devices list --seen-since=-24h -o json | jq length\n  \
        wardmesh devices list --ip 10.20.0.7 --server http://agg-1:8443,http://agg-2:8443")]
    List(Filter),
    /// Show one device with all that is known of it
    #[command(after_help = "Examples:\n  wardmesh devices get dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX\n  \
        wardmesh devices get dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX -o json | jq .services")]
    Get {
        /// The device's id, as `devices list` shows it
        id: DeviceId,
    },
    /// Show why each attribute of a device is believed: value, source, weight, when and by whom
    #[command(
        after_help = "Examples:\n  wardmesh devices evidence dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX\n  \
        wardmesh devices evidence dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX -o ndjson | jq 'select(.field == \"class\")'"
    )]
    Evidence {
        /// The device's id
        id: DeviceId,
    },
}

#[derive(clap::Args, Debug)]
struct Filter {
    /// Seen at this site; may be repeated
    #[arg(long)]
    site: Vec<String>,
    /// Of this class, such as ct-scanner; may be repeated
    #[arg(long)]
    class: Vec<String>,
    /// Of this maker; may be repeated
    #[arg(long)]
    vendor: Vec<String>,
    /// With this MAC address
    #[arg(long)]
    mac: Vec<String>,
    /// Seen under this IP address
    #[arg(long)]
    ip: Vec<String>,
    /// Seen since a time (RFC 3339) or a span ago, such as -24h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    seen_since: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

/// Carries the command out.
///
/// # Errors
/// [`Failure`]: of the cluster, of the way to it, or of the output.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let access = &args.access;
    match &args.verb {
        Verb::List(filter) => {
            let mut asked = query([("seen_since", &filter.seen_since)]);
            asked.extend(repeated("site", &filter.site));
            asked.extend(repeated("class", &filter.class));
            asked.extend(repeated("vendor", &filter.vendor));
            asked.extend(repeated("mac", &filter.mac));
            asked.extend(repeated("ip", &filter.ip));
            list::print(access, ("/api/v1/devices", asked), filter.limit, LIST, out)
        }
        Verb::Get { id } => {
            let path = format!("/api/v1/devices/{id}");
            let device = access.client().get(&path, &[])?;
            Ok(output::thing(&device, access.output, out)?)
        }
        Verb::Evidence { id } => {
            let path = format!("/api/v1/devices/{id}/evidence");
            list::print_all(access, &path, EVIDENCE, out)
        }
    }
}
