//! `wardmesh cluster`: the nodes and their agreement.

use std::io::Write;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::access::{Access, note};
use crate::failure::Failure;
use crate::list;
use crate::output::{self, Column, Format, at};

mod change;

use change::Change;

/// Columns of `cluster members`.
pub(crate) const MEMBERS: &[Column] = &[
    Column { heading: "NODE", cell: |member| at(member, "/id") },
    Column { heading: "NAME", cell: |member| at(member, "/name") },
    Column { heading: "ROLE", cell: |member| at(member, "/role") },
    Column { heading: "MATCHED", cell: |member| at(member, "/matched") },
    Column { heading: "LAG", cell: |member| at(member, "/lag") },
    Column { heading: "LAST CONTACT MS", cell: |member| at(member, "/last_contact_ms") },
    Column { heading: "RAFT", cell: |member| at(member, "/raft_address") },
    Column { heading: "HTTP", cell: |member| at(member, "/http_address") },
];

/// The cluster: its nodes and their agreement
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    wardmesh cluster members\n  \
    wardmesh cluster add agg-4:4434\n  \
    wardmesh cluster init --expect 3 --seeds agg-1:4434,agg-2:4434,agg-3:4434")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Found the cluster, once, and print the admin token, which is shown this once only
    #[command(
        after_help = "Examples:\n  wardmesh cluster init --expect 3 --seeds agg-1:4434,agg-2:4434,agg-3:4434\n  \
        WARDMESH_TOKEN=$(wardmesh cluster init --expect 1 -o json | jq -r .admin_token)"
    )]
    Init {
        /// How many nodes must be found before the cluster is founded
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=15))]
        expect: Option<u32>,
        /// All nodes' Raft addresses, host:port with commas between; where they are left out, the
        /// asked node is the cluster's only one, with --expect 1
        #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
        seeds: Vec<String>,
    },
    /// List the nodes and how far each came
    #[command(after_help = "Examples:\n  wardmesh cluster members\n  \
        wardmesh cluster members -o json | jq '.[] | select(.role == \"leader\")'")]
    Members,
    /// What changes the members, or who leads.
    #[command(flatten)]
    Change(Change),
    /// Show where the asked node stands: leader, term, applied index, digest
    #[command(after_help = "Examples:\n  wardmesh cluster status\n  \
        wardmesh cluster status --digest-at 81200 --server http://agg-2:8443 -o json | jq .digest")]
    Status {
        /// The state's latest digest at or before this log index, among the last 1,024, or the `latest`
        #[arg(long, value_name = "INDEX")]
        digest_at: Option<String>,
    },
}

/// Carries the command out.
///
/// # Errors
/// [`Failure`]: of the cluster, of the way to it, or of the output.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let access = &args.access;
    match &args.verb {
        Verb::Init { expect, seeds } => init(access, *expect, seeds, out),
        Verb::Members => list::print_all(access, "/api/v1/cluster/members", MEMBERS, out),
        Verb::Change(change) => change::run(access, change, out),
        Verb::Status { digest_at } => {
            let query = list::query([("digest_at", digest_at)]);
            let cluster = access.client().get("/api/v1/cluster", &query)?;
            Ok(output::thing(&cluster, access.output, out)?)
        }
    }
}

fn init(
    access: &Access,
    expect: Option<u32>,
    seeds: &[String],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut body = json!({"seeds": seeds});
    if let Some(expect) = expect {
        body["expect"] = Value::from(expect);
    }
    let founded = access.client().post("/api/v1/cluster/init", &body);
    let founded = founded.inspect_err(|failure| {
        if is_untold(failure) {
            note("the cluster may be founded: ask the same node for the same again, before it is restarted");
        }
    })?;
    if access.output == Format::Table {
        note("the admin token is shown this once: keep it, and set WARDMESH_TOKEN to it");
    }
    Ok(output::thing(&founded, access.output, out)?)
}

/// Whether a change may have happened although its answer did not come.
fn is_untold(failure: &Failure) -> bool {
    match failure {
        Failure::Broken { write, .. } => *write,
        Failure::Problem(problem) => problem.code == "timed-out",
        _ => false,
    }
}
