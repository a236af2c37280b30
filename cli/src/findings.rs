//! `wardmesh findings`: what the rules raised.

use std::io::Write;

use clap::{ArgGroup, Subcommand};
use serde_json::{Map, Value};
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
    wardmesh findings get fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX\n  \
    wardmesh findings set fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX --status resolved --note 'moved on purpose'")]
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
    /// Deal with a finding: its status, who sees to it, and a note
    #[command(after_help = "Examples:\n  \
        wardmesh findings set fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX --status ack --assignee biomed\n  \
        wardmesh findings set fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX --status resolved --note 'cable swapped'\n  \
        wardmesh findings set fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX --revision 3 --note ''")]
    Set(Change),
}

#[derive(clap::Args, Debug)]
#[command(group(
    ArgGroup::new("change").required(true).multiple(true).args(["status", "assignee", "note"])
))]
struct Change {
    /// The finding's id, as `findings list` shows it
    id: FindingId,
    /// open, ack, in_progress, suppressed or resolved
    #[arg(long)]
    status: Option<String>,
    /// Who sees to it; an empty name for nobody
    #[arg(long)]
    assignee: Option<String>,
    /// What there is to say of it; an empty one takes it away
    #[arg(long)]
    note: Option<String>,
    /// Only if it still has this revision; where left out, the one that it has now
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
}

impl Change {
    fn body(&self) -> Value {
        let text = |text: &String| match text.as_str() {
            "" => Value::Null,
            text => Value::from(text),
        };
        let members = [
            ("status", self.status.as_deref().map(Value::from)),
            ("assignee", self.assignee.as_ref().map(text)),
            ("note", self.note.as_ref().map(text)),
        ];
        let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect::<Map<_, _>>())
    }
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
        Verb::Set(change) => return set(access, change, out),
    };
    let mut asked = repeated("site", &filter.site);
    asked.extend(repeated("device", &filter.device));
    asked.extend(repeated("status", &filter.status));
    asked.extend(repeated("severity", &filter.severity));
    asked.extend(repeated("rule", &filter.rule));
    list::print(access, ("/api/v1/findings", asked), filter.limit, LIST, out)
}

/// What changed between the look and the change is told, never overwritten.
fn set(access: &Access, change: &Change, out: &mut dyn Write) -> Result<(), Failure> {
    let (client, path) = (access.client(), format!("/api/v1/findings/{}", change.id));
    let revision = match change.revision {
        Some(revision) => revision,
        None => {
            let finding = client.get(&path, &[])?;
            let revision = finding.get("revision").and_then(Value::as_u64);
            revision.ok_or_else(|| {
                Failure::Usage("the server is too old to change findings".to_owned())
            })?
        }
    };
    let finding = client.patch(&path, &format!("\"{revision}\""), &change.body())?;
    Ok(output::thing(&finding, access.output, out)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::failure::Exit;
    use crate::testing::Fake;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    const ID: &str = "fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX";

    fn line(server: &str, words: &[&str]) -> Line {
        let words = [&["findings", "set", ID], words, &["--server", server]].concat();
        Line::try_parse_from(words).unwrap()
    }

    #[test]
    fn sets_what_is_given_on_the_revision_that_it_read() {
        let server = Fake::serve(|line, _| {
            assert!(line.ends_with(ID) || line.contains("consistency"), "{line}");
            (200, json!({"id": ID, "revision": 4}).to_string())
        });
        let words = ["--status", "resolved", "--note", ""];
        run(&line(&server.url, &words).args, &mut Vec::new()).unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        let patch = requests.last().unwrap();
        assert!(patch.starts_with("PATCH /api/v1/findings/fnd_"), "{patch}");
        assert!(patch.to_ascii_lowercase().contains("if-match: \"4\""), "{patch}");
        assert!(patch.ends_with("{\"status\":\"resolved\",\"note\":null}"), "{patch}");
        run(&line(&server.url, &["--assignee", "x", "--revision", "3"]).args, &mut Vec::new())
            .unwrap();
        assert!(server.requests().last().unwrap().contains("\"3\""), "without reading it");
        assert_eq!(server.requests().len(), 3);
    }

    #[test]
    fn what_changed_in_between_is_a_conflict() {
        let server = Fake::serve(|_, _| {
            (412, json!({"title": "It was changed", "code": "stale"}).to_string())
        });
        let words = ["--status", "ack", "--revision", "1"];
        let failure = run(&line(&server.url, &words).args, &mut Vec::new()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Conflict);
    }

    #[test]
    fn something_must_be_given() {
        assert!(Line::try_parse_from(["findings", "set", ID]).is_err());
    }
}
