//! `wardmesh sensors`: the capture agents and their admission.

use std::io::{self, IsTerminal, Write};

use clap::Subcommand;
use serde_json::json;
use wardmesh_common::id::{SensorId, SiteId};

use crate::access::{Access, confirm, note};
use crate::failure::Failure;
use crate::list::{self, Limit, repeated};
use crate::output::{self, Column, at};

/// Columns of `sensors list`.
pub(crate) const LIST: &[Column] = &[
    Column { heading: "SENSOR", cell: |sensor| at(sensor, "/id") },
    Column { heading: "SITE", cell: |sensor| at(sensor, "/site") },
    Column { heading: "NAME", cell: |sensor| at(sensor, "/name") },
    Column { heading: "STATE", cell: |sensor| at(sensor, "/state") },
    Column { heading: "VERSION", cell: |sensor| at(sensor, "/version") },
    Column { heading: "EVENTS", cell: |sensor| at(sensor, "/events") },
    Column { heading: "LOST", cell: |sensor| at(sensor, "/lost_events") },
    Column { heading: "LAST RECEIVED", cell: |sensor| at(sensor, "/last_received") },
];

/// Sensors: the capture agents
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    wardmesh sensors list --state silent\n  \
    wardmesh sensors enrol --site a --name icu-span-1")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List sensors
    #[command(after_help = "Examples:\n  wardmesh sensors list --site a\n  \
        wardmesh sensors list -o json | jq '.[] | {id, last_received}'")]
    List {
        /// At this site; may be repeated
        #[arg(long)]
        site: Vec<String>,
        /// In this state: online, silent, enrolled (never heard), revoked or unknown; may be repeated
        #[arg(long)]
        state: Vec<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Admit a sensor at a site; its certificate must name the id that is printed
    #[command(after_help = "Examples:\n  wardmesh sensors enrol --site a --name icu-span-1\n  \
        wardmesh sensors enrol --site a --name icu-span-1 --id 5f0c1c3e-8f5b-4d0e-9a53-0d5f5c0a7e11")]
    Enrol {
        /// Where it stands
        #[arg(long)]
        site: SiteId,
        /// Its name for people
        #[arg(long)]
        name: String,
        /// The UUID in its certificate; drawn where it is left out
        #[arg(long, value_name = "UUID")]
        id: Option<SensorId>,
    },
    /// Stop a sensor's admission for good and cut its connections
    #[command(
        after_help = "Examples:\n  wardmesh sensors revoke 5f0c1c3e-8f5b-4d0e-9a53-0d5f5c0a7e11\n  \
        wardmesh sensors revoke 5f0c1c3e-8f5b-4d0e-9a53-0d5f5c0a7e11 --yes"
    )]
    Revoke {
        /// The sensor's UUID
        id: SensorId,
        /// Do not ask first
        #[arg(short, long)]
        yes: bool,
    },
}

/// Carries the command out.
///
/// # Errors
/// [`Failure`]: of the cluster, of the way to it, or of the output.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let access = &args.access;
    match &args.verb {
        Verb::List { site, state, limit } => {
            let mut asked = repeated("site", site);
            asked.extend(repeated("state", state));
            list::print(access, ("/api/v1/sensors", asked), *limit, LIST, out)
        }
        Verb::Enrol { site, name, id } => enrol(access, (site, name, *id), out),
        Verb::Revoke { id, yes } => {
            if !yes {
                let what = format!("sensor {id} will never be admitted again");
                let terminal = io::stdin().is_terminal();
                confirm((&what, &id.to_string()), &mut io::stdin().lock(), terminal)?;
            }
            let path = format!("/api/v1/sensors/{id}/revoke");
            let answer = access.client().post(&path, &json!({}))?;
            Ok(output::thing(&answer, access.output, out)?)
        }
    }
}

fn enrol(
    access: &Access,
    (site, name, id): (&SiteId, &str, Option<SensorId>),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let id = id.map_or_else(draw, Ok)?;
    let body = json!({"sensor": id.to_string(), "site": site.as_str(), "name": name});
    let sensor = access.client().post("/api/v1/sensors", &body)?;
    note(&format!("its certificate must name spiffe://<cluster>/tenant/default/sensor/{id}"));
    Ok(output::thing(&sensor, access.output, out)?)
}

/// A UUID of version 4 (RFC 9562 section 5.4).
fn draw() -> Result<SensorId, Failure> {
    let mut bytes = [0; 16];
    let drawn = getrandom::fill(&mut bytes);
    drawn.map_err(|cause| anyhow::anyhow!("the machine has no randomness: {cause}"))?;
    Ok(SensorId::from_random(bytes))
}
