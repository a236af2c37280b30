//! Single nodes of a mesh: prepared, added empty, stopped in order, wiped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use anyhow::Context;
use wardmesh_common::tls::Principal;

use super::files::write_identity;
use super::{CLUSTER, Child, Mesh, Node, PATIENCE, files, ports};

impl Mesh {
    /// Draws a node's certificates and ports, and writes its configuration file.
    pub(super) fn prepare_node(&mut self, id: u64, host: IpAddr) -> anyhow::Result<()> {
        let mut drawn = ports::draw(4)?.into_iter();
        let mut port = || {
            let port = drawn.next().context("a port")?;
            anyhow::Ok(SocketAddr::new(host, port.port()))
        };
        let folder = self.plan.folder.join(format!("node-{id}"));
        let principal = Principal::Node { cluster: CLUSTER.to_owned(), node: id };
        let ports =
            files::Ports { ingest: port()?, raft: port()?, http: port()?, metrics: port()? };
        write_identity(&folder.join("ingest"), &self.ingest.issue(&principal)?)?;
        write_identity(&folder.join("raft"), &self.raft.issue(&principal)?)?;
        self.nodes.push(Node {
            id,
            config: files::node_config(&folder, id, &ports, &self.plan.log)?,
            data: folder.join("data"),
            ingest_address: ports.ingest.to_string(),
            raft_address: ports.raft.to_string(),
            http_address: ports.http.to_string(),
            token: None,
            launcher: Vec::new(),
            child: None,
        });
        Ok(())
    }

    /// Starts one more node, empty and no member of the cluster yet, and waits until it answers;
    /// returns its place. Sensors that are added from now on know its address too.
    ///
    /// # Errors
    /// Where its id is another's, or it does not start.
    pub fn add_node(&mut self, id: u64) -> anyhow::Result<usize> {
        anyhow::ensure!(
            self.nodes.iter().all(|node| node.id != id),
            "there is a node {id} already"
        );
        self.prepare_node(id, IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        let place = self.nodes.len() - 1;
        self.start_node(place)?;
        self.await_alive(place)?;
        Ok(place)
    }

    /// Throws away what a node that does not run has on its disk.
    ///
    /// # Errors
    /// Where it runs, or the folder cannot be removed.
    pub fn wipe_node(&self, index: usize) -> anyhow::Result<()> {
        let node = &self.nodes[index];
        anyhow::ensure!(node.child.is_none(), "node {} runs", node.id);
        Ok(std::fs::remove_dir_all(&node.data)?)
    }

    /// Makes another node of one that does not run, in its place: with this id, certificates of its
    /// own and another Raft port. Sensors and readers find it where the old one was. Its disk is left
    /// to whoever calls.
    ///
    /// # Errors
    /// Where it runs, or the files cannot be written.
    pub fn renew_node(&mut self, index: usize, id: u64) -> anyhow::Result<()> {
        let node = &self.nodes[index];
        anyhow::ensure!(node.child.is_none(), "node {} runs", node.id);
        let folder = node.config.parent().context("a folder")?.to_owned();
        let raft: SocketAddr = node.raft_address.parse()?;
        let mut drawn = ports::draw(2)?.into_iter();
        let mut port = || {
            let port = drawn.next().context("a port")?;
            anyhow::Ok(SocketAddr::new(raft.ip(), port.port()))
        };
        let (raft, metrics) = (port()?, port()?);
        let (ingest, http) = (node.ingest_address.parse()?, node.http_address.parse()?);
        let principal = Principal::Node { cluster: CLUSTER.to_owned(), node: id };
        for (name, authority) in [("ingest", &self.ingest), ("raft", &self.raft)] {
            std::fs::remove_dir_all(folder.join(name))?;
            write_identity(&folder.join(name), &authority.issue(&principal)?)?;
        }
        let ports = files::Ports { ingest, raft, http, metrics };
        files::node_config(&folder, id, &ports, &self.plan.log)?;
        let node = &mut self.nodes[index];
        (node.id, node.raft_address) = (id, raft.to_string());
        Ok(())
    }

    /// Asks a node to end in an orderly way, and waits for it.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub fn stop_node(&mut self, index: usize) -> anyhow::Result<()> {
        Child::stop_all(self.nodes[index].child.take().into_iter().collect())
    }

    /// Waits until a node's process ends by itself; returns how, with the end of its log.
    ///
    /// # Errors
    /// Where it does not run, or goes on.
    pub fn await_end(&mut self, index: usize) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            let child = self.nodes[index].child.as_mut().context("the node was not started")?;
            if let Err(ended) = child.check() {
                self.nodes[index].child = None;
                return Ok(ended.to_string());
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "it goes on");
            self.pause()?;
        }
    }
}
