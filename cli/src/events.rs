//! `wardmesh events`: what the sensors saw, in log order.

use std::io::Write;

use clap::Subcommand;
use serde_json::Value;

use crate::access::Access;
use crate::failure::Failure;
use crate::list::{self, Limit, query};
use crate::output::{Column, at};

const LIST: &[Column] = &[
    Column { heading: "OBSERVED AT", cell: |event| at(event, "/observed_at") },
    Column { heading: "SITE", cell: |event| at(event, "/site") },
    Column { heading: "KIND", cell: |event| at(event, "/kind") },
    Column { heading: "MAC", cell: |event| at(event, "/device/mac") },
    Column { heading: "IP", cell: |event| at(event, "/device/ip") },
    Column { heading: "PEER", cell: peer },
    Column { heading: "SERVICE", cell: service },
    Column { heading: "DETAIL", cell: detail },
];

/// Events: what the sensors saw
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  \
    wardmesh events list --site a --since=-1h")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List events in the order of the log
    #[command(after_help = "Examples:\n  wardmesh events list --site a --since=-1h\n  \
        wardmesh events list --device dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX -n 20\n  \
        wardmesh events list --sensor 5f0c1c3e-8f5b-4d0e-9a53-0d5f5c0a7e11 -n 1000000 -o ndjson > events.ndjson")]
    List(Filter),
}

#[derive(clap::Args, Debug)]
struct Filter {
    /// About this device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// From this site
    #[arg(long)]
    site: Option<String>,
    /// By this sensor
    #[arg(long, value_name = "UUID")]
    sensor: Option<String>,
    /// After the event with this id in the log
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Not before a time (RFC 3339) or a span ago, such as -1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Before a time or a span ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

/// Carries the command out.
///
/// # Errors
/// [`Failure`]: of the cluster, of the way to it, or of the output.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let Verb::List(filter) = &args.verb;
    let asked = query([
        ("device", &filter.device),
        ("site", &filter.site),
        ("sensor", &filter.sensor),
        ("after", &filter.after),
        ("since", &filter.since),
        ("until", &filter.until),
    ]);
    list::print(&args.access, ("/api/v1/events", asked), filter.limit, LIST, out)
}

fn peer(event: &Value) -> String {
    let ip = at(event, "/peer/ip");
    match at(event, "/peer/port").as_str() {
        _ if ip.is_empty() => at(event, "/peer/mac"),
        "" => ip,
        port if ip.contains(':') => format!("[{ip}]:{port}"),
        port => format!("{ip}:{port}"),
    }
}

fn service(event: &Value) -> String {
    let (port, protocol) = (at(event, "/service/port"), at(event, "/service/protocol"));
    let port = if port.is_empty() { port } else { format!("/{port}") };
    format!("{}{port} {protocol}", at(event, "/service/transport")).trim().to_owned()
}

fn detail(event: &Value) -> String {
    let parts = [at(event, "/attributes"), at(event, "/counters")];
    parts.join(" ").trim().to_owned()
}
