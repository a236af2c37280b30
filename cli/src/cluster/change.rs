//! `wardmesh cluster add`, `promote`, `remove`, `replace`, `transfer-leader` and `snapshot`: who belongs
//! to the cluster, and who leads.

use std::io::{self, IsTerminal, Write};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::access::{Access, confirm};
use crate::failure::Failure;
use crate::output;

/// Where members are.
const MEMBERS: &str = "/api/v1/cluster/members";

/// What changes the members, or who leads.
#[derive(Debug, Subcommand)]
pub(super) enum Change {
    /// Take in the empty node at a Raft address, or note a member's new address
    ///
    /// The node runs already, with a certificate of this cluster, an id that no node ever had, and an
    /// empty volume. It receives what the others have and votes once it has caught up.
    #[command(after_help = "Examples:\n  wardmesh cluster add agg-4.example.org:4434\n  \
        wardmesh cluster add agg-4.example.org:4434 --learner\n\n\
        Exit code 8: it is a learner and still catching up; promote it later.")]
    Add {
        /// Where its Raft endpoint answers, host:port
        address: String,
        /// Give it no vote
        #[arg(long)]
        learner: bool,
    },
    /// Give a learner its vote, once it has caught up
    #[command(after_help = "Examples:\n  wardmesh cluster promote 4\n  \
        until wardmesh cluster promote 4; do sleep 10; done")]
    Promote {
        /// The node's id
        id: u64,
    },
    /// Take a member out for good: its id is never used again
    ///
    /// A leader hands over first. The node stops by itself and does not start again on its volume.
    #[command(after_help = "Examples:\n  wardmesh cluster remove 4\n  \
        wardmesh cluster remove 4 --yes")]
    Remove {
        /// The node's id
        id: u64,
        /// Also where fewer than a majority of those that stay are heard: the cluster may stand still
        #[arg(long)]
        force: bool,
        /// Do not ask first
        #[arg(short, long)]
        yes: bool,
    },
    /// Put an empty node in a member's place, such as one whose disk is lost
    ///
    /// The new one catches up; then both change places in one step, and the old id is never used again.
    #[command(after_help = "Examples:\n  \
        wardmesh cluster replace 2 --with agg-4.example.org:4434\n  \
        wardmesh cluster replace 2 --with agg-4.example.org:4434 --yes\n\n\
        Exit code 8: the new one is still catching up; repeat the command.")]
    Replace {
        /// The id of the node that goes
        id: u64,
        /// Where its successor's Raft endpoint answers, host:port
        #[arg(long, value_name = "ADDRESS")]
        with: String,
        /// Do not ask first
        #[arg(short, long)]
        yes: bool,
    },
    /// Hand leadership to another voter and wait until it leads
    #[command(after_help = "Examples:\n  wardmesh cluster transfer-leader\n  \
        wardmesh cluster transfer-leader --to 2")]
    TransferLeader {
        /// The voter's id; the one that has most of the log where it is left out
        #[arg(long, value_name = "ID")]
        to: Option<u64>,
    },
    /// Build a snapshot on the asked node and purge its log
    #[command(after_help = "Examples:\n  wardmesh cluster snapshot\n  \
        wardmesh cluster snapshot --server http://agg-2:8443")]
    Snapshot,
}

/// Carries the change out.
///
/// # Errors
/// [`Failure`]: of the cluster, of the way to it, or of the output. [`Failure::Partial`] where a node
/// is still catching up.
pub(super) fn run(access: &Access, change: &Change, out: &mut dyn Write) -> Result<(), Failure> {
    let client = access.client();
    let (answer, wanted) = match change {
        Change::Add { address, learner } => {
            let body = json!({"address": address, "voter": !learner});
            (client.post(MEMBERS, &body)?, if *learner { "" } else { "promote" })
        }
        Change::Promote { id } => {
            (client.post(&format!("{MEMBERS}/{id}/promote"), &json!({}))?, "promote")
        }
        Change::Remove { id, force, yes } => {
            sure(*yes, &format!("node {id} will be removed"), *id)?;
            let query: Vec<_> = force.then(|| ("force", "true".to_owned())).into_iter().collect();
            (client.delete(&format!("{MEMBERS}/{id}"), &query)?, "")
        }
        Change::Replace { id, with, yes } => {
            sure(*yes, &format!("node {id} will be replaced"), *id)?;
            let path = format!("{MEMBERS}/{id}/replace");
            (client.post(&path, &json!({"address": with}))?, "replace")
        }
        Change::TransferLeader { to } => {
            let body = to.map_or_else(|| json!({}), |to| json!({"to": to}));
            (client.post("/api/v1/cluster/transfer-leader", &body)?, "")
        }
        Change::Snapshot => (client.post("/api/v1/cluster/snapshot", &json!({}))?, ""),
    };
    output::thing(&answer, access.output, out)?;
    caught_up(&answer, wanted)
}

fn sure(yes: bool, what: &str, id: u64) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    confirm((what, &id.to_string()), &mut io::stdin().lock(), io::stdin().is_terminal())
}

/// A vote was wanted and is not given yet.
fn caught_up(answer: &Value, wanted: &str) -> Result<(), Failure> {
    if wanted.is_empty() || answer["role"] != "learner" {
        return Ok(());
    }
    let id = &answer["id"];
    let again = match wanted {
        "replace" => "repeat this command".to_owned(),
        _ => format!("'wardmesh cluster promote {id}' gives it its vote"),
    };
    Err(Failure::Partial(format!("node {id} is a learner and still catching up: {again}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use clap::Parser;

    use super::*;
    use crate::cli::{Arguments, Command};
    use crate::failure::Exit;
    use crate::testing::Fake;

    fn ask(server: &Fake, line: &str) -> Result<String, Failure> {
        let line = format!("wardmesh cluster {line} -o json --server {}", server.url);
        let Command::Ask(ask) = Arguments::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("{line} asks no cluster");
        };
        let mut out = Vec::new();
        ask.run(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_command_asks_for_its_change() {
        let server = Fake::serve(|_, _| (200, json!({"id": 4, "role": "voter"}).to_string()));
        // (command) → (request line, body)
        let cases = [
            ("add agg-4:4434", "POST /api/v1/cluster/members ", r#""voter":true"#),
            ("add agg-4:4434 --learner", "POST /api/v1/cluster/members ", r#""voter":false"#),
            ("promote 4", "POST /api/v1/cluster/members/4/promote ", "{}"),
            ("remove 2 --yes", "DELETE /api/v1/cluster/members/2 ", ""),
            ("remove 2 -y --force", "DELETE /api/v1/cluster/members/2?force=true ", ""),
            ("replace 2 --with x:1 -y", "POST /api/v1/cluster/members/2/replace ", r#""x:1""#),
            ("transfer-leader", "POST /api/v1/cluster/transfer-leader ", "{}"),
            ("transfer-leader --to 3", "POST /api/v1/cluster/transfer-leader ", r#"{"to":3}"#),
            ("snapshot", "POST /api/v1/cluster/snapshot ", "{}"),
        ];
        for (line, head, body) in cases {
            assert!(ask(&server, line).unwrap().contains("voter"), "{line}");
            let request = server.requests().pop().unwrap();
            assert!(request.starts_with(head) && request.contains(body), "{line}: {request}");
        }
    }

    #[test]
    fn a_learner_that_is_behind_is_a_part_of_what_was_wanted() {
        let server = Fake::serve(|_, _| (202, json!({"id": 4, "role": "learner"}).to_string()));
        for line in ["add a:1", "promote 4", "replace 2 --with a:1 --yes"] {
            let failure = ask(&server, line).unwrap_err();
            assert_eq!(failure.exit(), Exit::Partial, "{line}");
        }
        assert!(ask(&server, "add a:1 --learner").is_ok());
    }
}
