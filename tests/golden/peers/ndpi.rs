//! nDPI's `.out` files: one line a flow, its findings in brackets.
//!
//! Only what nDPI read itself (`Confidence: DPI`), not what it guessed by a port. Of HTTP it keeps
//! the first request of a flow, so only TLS is complete.

use std::path::Path;

use super::claim::{Claims, Peer, Said, outputs};

pub(super) const PEER: Peer = Peer { folder: "ndpi", claims };

const ALL_OF: &[&str] = &["tls.sni", "tls.ja4"];

/// What its names of protocols are in ours.
const PROTOCOLS: [(&str, &str); 4] =
    [("TLS", "tls"), ("HTTP", "http"), ("HL7", "hl7"), ("DHCP", "dhcp")];

fn claims(folder: &Path) -> Vec<Claims> {
    let files = outputs(&folder.join("expected"), ".out");
    files.iter().map(|(stem, text)| file(stem, text)).collect()
}

fn file(stem: &str, text: &str) -> Claims {
    let mut claims = Claims::of(stem, ALL_OF);
    text.lines().filter_map(Flow::read).for_each(|flow| flow.claim(&mut claims));
    claims
}

/// One line.
struct Flow<'a> {
    client: &'a str,
    server: &'a str,
    /// One of [`PROTOCOLS`].
    protocol: &'static str,
    line: &'a str,
}

impl<'a> Flow<'a> {
    /// `\t1\tTCP 10.0.0.1:5000 <-> 10.0.0.2:443 [proto: 91.126/TLS.Google]…`, where it is of a
    /// protocol that we read.
    fn read(line: &'a str) -> Option<Self> {
        let (number, rest) = line.strip_prefix('\t')?.split_once('\t')?;
        number.parse::<u32>().ok()?;
        let mut words = rest.split(' ');
        let transport = words.next()?;
        let (client, _, server) = (words.next()?, words.next()?, words.next()?);
        let name = field(line, "proto")?.split_once('/')?.1;
        let name = name.split('.').next()?;
        let (_, protocol) = PROTOCOLS.iter().find(|(theirs, _)| *theirs == name)?;
        let carrier = if *protocol == "dhcp" { "UDP" } else { "TCP" };
        let is_read = field(line, "Confidence") == Some("DPI") && transport == carrier;
        is_read.then_some(Self { client: address(client), server: address(server), protocol, line })
    }

    fn claim(&self, claims: &mut Claims) {
        let asked = format!("{}>{}", self.client, self.server);
        let told = format!("{}>{}", self.server, self.client);
        claims.speak(self.client, self.server, self.protocol);
        let mut add = |by: &str, key, name| {
            claims.add(by, key, field(self.line, name).unwrap_or_default());
        };
        match self.protocol {
            "tls" => {
                add(&asked, "tls.ja4", "JA4");
                add(&asked, "tls.sni", "Hostname/SNI");
            }
            "http" => {
                add(&asked, "http.user_agent", "User-Agent");
                add(&told, "http.server", "Server");
                add(&asked, "http.host", "Hostname/SNI");
            }
            // A flow is of all clients without an address; nDPI keeps one name, in lower case.
            "dhcp" => {
                let text = |name| field(self.line, name).unwrap_or_default();
                claims.once(Said::ANYONE, "dhcp.hostname", text("Hostname/SNI"));
                claims.once("", "dhcp.parameter_list", text("DHCP Fingerprint"));
            }
            _ => {}
        }
    }
}

/// What follows a name in brackets: `[JA4: t13…]`.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let start = line.find(&format!("[{name}: "))? + name.len() + 3;
    let rest = line.get(start..)?;
    rest.get(..rest.find("][").or_else(|| rest.find(']'))?)
}

/// The address without its port: `10.0.0.1:443`, `[fe80::1]:443`.
fn address(end: &str) -> &str {
    let address = end.rsplit_once(':').map_or(end, |(address, _)| address);
    address.trim_matches(['[', ']'])
}
