//! `wardmesh findings`: what the rules raised.

use std::io::Write;

use clap::Subcommand;
use wardmesh_common::id::FindingId;

use crate::access::Access;
use crate::failure::Failure;
use crate::list::{self, Limit, repeated};
use crate::output::{self, Column, at};

const LIST: &[Column] = &[
    Column { heading: "ID", cell: |finding| at(finding, "/id") },
    Column { heading: "SEVERITY", cell: |finding| at(finding, "/severity") },
    Column { heading: "STATUS", cell: |finding| at(finding, "/status") },
    Column { heading: "RULE", cell: |finding| at(finding, "/rule") },
    Column { heading: "SITES", cell: |finding| at(finding, "/sites") },
    Column { heading: "COUNT", cell: |finding| at(finding, "/count") },
    Column { heading: "LAST SEEN", cell: |finding| at(finding, "/last_seen") },
    Column { heading: "TITLE", cell: |finding| at(finding, "/title") },
];

/// Findings: what the rules raised
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    wardmesh findings list --status open\n  \
    wardmesh findings get fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List findings
    #[command(after_help = "Examples:\n  wardmesh findings list --status open\n  \
        wardmesh findings list --site a --severity high -o ndjson\n  \
        wardmesh findings list --rule identity-moved -o json | jq '.[].title'")]
    List(Filter),
    /// Show one finding with its evidence
    #[command(after_help = "Examples:\n  wardmesh findings get fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX\n  \
        wardmesh findings get fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX -o json | jq -r '.devices[]'")]
    Get {
        /// The finding's id, as `findings list` shows it
        id: FindingId,
    },
}

#[derive(clap::Args, Debug)]
struct Filter {
    /// Concerning this site; may be repeated
    #[arg(long)]
    site: Vec<String>,
    /// Concerning this device; may be repeated
    #[arg(long, value_name = "ID")]
    device: Vec<String>,
    /// In this status, such as open; may be repeated
    #[arg(long)]
    status: Vec<String>,
    /// Of this severity; may be repeated
    #[arg(long)]
    severity: Vec<String>,
    /// Raised by this rule; may be repeated
    #[arg(long)]
    rule: Vec<String>,
    #[command(flatten)]
    limit: Limit,
}

/// Carries the command out.
///
/// # Errors
/// [`Failure`]: of the cluster, of the way to it, or of the output.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let access = &args.access;
    let filter = match &args.verb {
        Verb::List(filter) => filter,
        Verb::Get { id } => {
            let path = format!("/api/v1/findings/{id}");
            let finding = access.client().get(&path, &[])?;
            return Ok(output::thing(&finding, access.output, out)?);
        }
    };
    let mut asked = repeated("site", &filter.site);
    asked.extend(repeated("device", &filter.device));
    asked.extend(repeated("status", &filter.status));
    asked.extend(repeated("severity", &filter.severity));
    asked.extend(repeated("rule", &filter.rule));
    list::print(access, ("/api/v1/findings", asked), filter.limit, LIST, out)
}
