//! Ports of a mesh on loopback, which nobody takes between their choice and a node's start or restart.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that systems give to clients (from 32768 on Linux, 49152 by RFC 6335): one of
/// those would be a sensor's or browser's before a killed node is back.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

/// How many were taken by this process, from a beginning of its own: its meshes never share one.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The first `count` ports from here on that are free for both UDP and TCP.
///
/// # Errors
/// Where there are not as many.
pub(super) fn draw(count: usize) -> io::Result<Vec<SocketAddr>> {
    let length = RANGE.end - RANGE.start;
    let begin = std::process::id().wrapping_mul(1_009);
    let mut found = Vec::new();
    for _ in RANGE {
        if found.len() == count {
            return Ok(found);
        }
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + begin.wrapping_add(taken) % length;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap_or(0)));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            found.push(address);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free ports between 12000 and 32000"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn no_port_is_drawn_twice() {
        let mut drawn = [draw(12).unwrap(), draw(12).unwrap()].concat();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), 24);
    }
}
