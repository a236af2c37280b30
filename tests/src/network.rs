//! A network of namespaces on one bridge: a host each for nodes and sensors, cut where it is asked.
//!
//! Names hold our process id; what a killed run left behind is removed by the next one. Everything is
//! gone when this is dropped.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::shell::{feed, run, succeeds};

/// What all our names begin with.
const PREFIX: &str = "wmnem";

/// The table in which a host's cuts stand.
const TABLE: &str = "inet wardmesh_nemesis";

/// Namespaces that are joined by a bridge.
#[derive(Debug)]
pub struct Network {
    bridge: String,
    hosts: Vec<Host>,
}

/// One namespace.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name for `ip netns`.
    pub namespace: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// Which packets a host does not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Those from the others.
    In,
    /// Those to the others.
    Out,
    /// All.
    Both,
}

impl Network {
    /// Makes so many hosts, from 10.x.y.1 on; our own address is 10.x.y.254.
    ///
    /// # Errors
    /// Where this is not allowed; what was made before is removed.
    pub fn make(hosts: u8) -> anyhow::Result<Self> {
        sweep();
        let pid = std::process::id();
        let octets = (200 + (pid / 256 % 50) as u8, (pid % 256) as u8);
        let address = |last| Ipv4Addr::new(10, octets.0, octets.1, last);
        let bridge = format!("{PREFIX}{pid}");
        let mut network = Self { bridge: bridge.clone(), hosts: Vec::new() };
        run(&["ip", "link", "add", &bridge, "type", "bridge"])?;
        run(&["ip", "addr", "add", &format!("{}/24", address(254)), "dev", &bridge])?;
        run(&["ip", "link", "set", &bridge, "up"])?;
        for number in 1..=hosts {
            let namespace = format!("{PREFIX}{pid}h{number}");
            network.hosts.push(Host { namespace, address: address(number) });
            network.plug(usize::from(number) - 1)?;
        }
        Ok(network)
    }

    fn plug(&self, host: usize) -> anyhow::Result<()> {
        let Host { namespace, address } = &self.hosts[host];
        // An interface's name has 15 letters at most; the namespace's is shorter.
        let veth = namespace.as_str();
        run(&["ip", "netns", "add", namespace])?;
        let peer = ["peer", "name", "eth0", "netns", namespace];
        run(&[&["ip", "link", "add", veth, "type", "veth"], &peer[..]].concat())?;
        run(&["ip", "link", "set", veth, "master", &self.bridge, "up"])?;
        run(&["ip", "-n", namespace, "addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
        run(&["ip", "-n", namespace, "link", "set", "eth0", "up"])?;
        run(&["ip", "-n", namespace, "link", "set", "lo", "up"])?;
        Ok(())
    }

    /// The hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The command that starts a program on a host. Unlike `ip netns exec` it leaves the mounts
    /// alone: a copy of a mount would keep a file system alive that is to be cut off.
    #[must_use]
    pub fn launcher(&self, host: usize) -> Vec<OsString> {
        let namespace = &self.hosts[host].namespace;
        vec!["nsenter".into(), format!("--net=/run/netns/{namespace}").into()]
    }

    /// Cuts a host off from others; replaces an earlier cut of it.
    ///
    /// # Errors
    /// nft's.
    pub fn cut(&self, host: usize, others: &[usize], cut: Cut) -> anyhow::Result<()> {
        let others: Vec<_> = others.iter().map(|at| self.hosts[*at].address.to_string()).collect();
        let others = others.join(", ");
        let chain = |name: &str, end: &str, wanted: bool| {
            let rule =
                if wanted { format!("ip {end} {{ {others} }} drop;") } else { String::new() };
            format!("chain {name} {{ type filter hook {name} priority 0; {rule} }}\n")
        };
        let input = chain("input", "saddr", cut != Cut::Out);
        let output = chain("output", "daddr", cut != Cut::In);
        self.heal(host)?;
        self.nft(host, &format!("table {TABLE} {{\n{input}{output}}}\n"))
    }

    /// Takes a host's cut away, if it has one.
    ///
    /// # Errors
    /// nft's.
    pub fn heal(&self, host: usize) -> anyhow::Result<()> {
        self.nft(host, &format!("table {TABLE} {{ }}\ndelete table {TABLE}\n"))
    }

    fn nft(&self, host: usize, text: &str) -> anyhow::Result<()> {
        let namespace = format!("--net=/run/netns/{}", self.hosts[host].namespace);
        feed(&["nsenter", &namespace, "nft", "-f", "-"], text).map(drop)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for Host { namespace, .. } in &self.hosts {
            // Its end of the wire takes ours with it, once the last process has left.
            let _ = run(&["ip", "link", "del", namespace]);
            let _ = run(&["ip", "netns", "del", namespace]);
        }
        let _ = run(&["ip", "link", "del", &self.bridge]);
    }
}

/// Removes the namespaces and links of runs that are no more.
fn sweep() {
    let ours = |name: &str| -> Option<String> {
        let pid = name.strip_prefix(PREFIX)?.split('h').next()?;
        let gone = pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists();
        gone.then(|| name.to_owned())
    };
    let named = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| ours(&entry.file_name().to_string_lossy())).collect()
    };
    for link in named("/sys/class/net") {
        let _ = succeeds(&["ip", "link", "del", &link]);
    }
    for namespace in named("/run/netns") {
        let _ = succeeds(&["ip", "netns", "del", &namespace]);
    }
}
