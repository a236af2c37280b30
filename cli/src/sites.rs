//! `wardmesh sites`: the facilities.

use std::io::Write;

use clap::Subcommand;
use serde_json::json;
use wardmesh_common::id::SiteId;

use crate::access::Access;
use crate::failure::Failure;
use crate::list::{self, Limit};
use crate::output::{self, Column, at};

/// Columns of `sites list`.
pub(crate) const LIST: &[Column] = &[
    Column { heading: "SITE", cell: |site| at(site, "/id") },
    Column { heading: "TITLE", cell: |site| at(site, "/title") },
    Column { heading: "HEALTH", cell: |site| at(site, "/health") },
    Column { heading: "SENSORS", cell: |site| at(site, "/sensors") },
    Column { heading: "DEVICES", cell: |site| at(site, "/devices") },
    Column { heading: "EVENTS", cell: |site| at(site, "/events") },
    Column { heading: "LAST EVENT", cell: |site| at(site, "/last_event") },
];

/// Sites: the facilities
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    wardmesh sites list\n  \
    wardmesh sites add stj --title 'St John, main campus'")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List sites
    #[command(
        after_help = "Examples:\n  wardmesh sites list\n  wardmesh sites list -o json | jq '.[].id'"
    )]
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Add a site, or give one another title
    #[command(
        after_help = "Examples:\n  wardmesh sites add stj --title 'St John, main campus'\n  \
        wardmesh sites add clinic-7"
    )]
    Add {
        /// Its name in every URL: lower-case letters, digits and inner hyphens
        id: SiteId,
        /// Its name for people; the id where it is left out
        #[arg(long)]
        title: Option<String>,
    },
}

/// Carries the command out.
///
/// # Errors
/// [`Failure`]: of the cluster, of the way to it, or of the output.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let access = &args.access;
    match &args.verb {
        Verb::List { limit } => {
            list::print(access, ("/api/v1/sites", Vec::new()), *limit, LIST, out)
        }
        Verb::Add { id, title } => {
            let title = title.as_deref().unwrap_or(id.as_str());
            let body = json!({"site": id.as_str(), "title": title});
            let site = access.client().post("/api/v1/sites", &body)?;
            Ok(output::thing(&site, access.output, out)?)
        }
    }
}
