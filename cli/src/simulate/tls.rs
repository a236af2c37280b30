//! TLS 1.3 (RFC 8446) and resumed TLS 1.2 (RFC 5246, 7.3) as a wire shows them: the hellos are
//! real, everything after them is noise of the right shape.
//!
//! Sessions of 1.2 are always resumed, since a full handshake would need a certificate in the
//! clear.

use super::hospital::Host;
use super::rng::Rng;
use super::tcp::{End, Tcp};
use super::wire::Script;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// The longest record, bytes (RFC 8446 section 5.1).
const RECORD_MAX: usize = 16_384;
const AES_128_GCM: u16 = 0x1301;
const ECDHE_RSA_AES_128_GCM: u16 = 0xc02f;

/// Who says hello: what makes one client's hello differ from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// A browser: TLS 1.3, h2 and http/1.1.
    Browser,
    /// A bedside device: TLS 1.2, few suites, no ALPN.
    Embedded,
}

/// A connection to `name`: hellos, then a request and a response of so many bytes, encrypted.
pub(super) fn exchange(
    script: &mut Script<'_>,
    client: (&Host, u16),
    server: (&Host, u16),
    kind: Client,
    name: &str,
    sizes: (usize, usize),
) {
    let mut tcp = Tcp::open(script, client, server);
    let rng = &mut tcp.script.rng;
    let session = rng.array::<32>();
    let hello = client_hello(rng, kind, name, &session);
    tcp.say(End::Client, &record(HANDSHAKE, &hello));
    match kind {
        Client::Browser => key_share(&mut tcp, &session),
        Client::Embedded => resume(&mut tcp, &session),
    }
    noise(&mut tcp, End::Client, sizes.0);
    tcp.script.wait(1_000, 20_000);
    noise(&mut tcp, End::Server, sizes.1);
    tcp.close();
}

/// The 1.3 server's flight and the client's Finished (RFC 8446 section 2).
fn key_share(tcp: &mut Tcp<'_, '_>, session: &[u8; 32]) {
    let rng = &mut tcp.script.rng;
    let mut share = vec![0, 29, 0, 32];
    share.extend_from_slice(&rng.array::<32>());
    let extensions = [extension(43, &[3, 4]), extension(51, &share)].concat();
    let hello = server_hello(rng, session, AES_128_GCM, &extensions);
    let mut flight = record(HANDSHAKE, &hello);
    flight.extend_from_slice(&record(CHANGE_CIPHER_SPEC, &[1]));
    flight.extend_from_slice(&record(APPLICATION, &rng.bytes(1_863)));
    tcp.say(End::Server, &flight);
    let mut finished = record(CHANGE_CIPHER_SPEC, &[1]);
    finished.extend_from_slice(&record(APPLICATION, &tcp.script.rng.bytes(53)));
    tcp.say(End::Client, &finished);
}

/// The abbreviated 1.2 handshake (RFC 5246 section 7.3).
fn resume(tcp: &mut Tcp<'_, '_>, session: &[u8; 32]) {
    let rng = &mut tcp.script.rng;
    let extensions = [extension(23, &[]), extension(65_281, &[0])].concat();
    let hello = server_hello(rng, session, ECDHE_RSA_AES_128_GCM, &extensions);
    let mut flight = record(HANDSHAKE, &hello);
    flight.extend_from_slice(&finished(rng));
    tcp.say(End::Server, &flight);
    let finished = finished(&mut tcp.script.rng);
    tcp.say(End::Client, &finished);
}

fn finished(rng: &mut Rng) -> Vec<u8> {
    [record(CHANGE_CIPHER_SPEC, &[1]), record(HANDSHAKE, &rng.bytes(40))].concat()
}

fn noise(tcp: &mut Tcp<'_, '_>, end: End, size: usize) {
    let bytes = tcp.script.rng.bytes(size);
    let records: Vec<u8> =
        bytes.chunks(RECORD_MAX).flat_map(|part| record(APPLICATION, part)).collect();
    tcp.say(end, &records);
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 3, 3];
    bytes.extend_from_slice(&counted(body));
    bytes
}

fn client_hello(rng: &mut Rng, kind: Client, name: &str, session: &[u8; 32]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&rng.array::<32>());
    body.push(32);
    body.extend_from_slice(session);
    body.extend_from_slice(&counted(&words(suites(kind))));
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&counted(&client_extensions(rng, kind, name)));
    handshake(CLIENT_HELLO, &body)
}

fn server_hello(rng: &mut Rng, session: &[u8; 32], suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&rng.array::<32>());
    body.push(32);
    body.extend_from_slice(session);
    body.extend_from_slice(&suite.to_be_bytes());
    body.push(0);
    body.extend_from_slice(&counted(extensions));
    handshake(SERVER_HELLO, &body)
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend_from_slice(&counted(body));
    bytes
}

fn suites(kind: Client) -> &'static [u16] {
    match kind {
        Client::Browser => &[
            AES_128_GCM,
            0x1302,
            0x1303,
            0xc02b,
            ECDHE_RSA_AES_128_GCM,
            0xc02c,
            0xc030,
            0xcca9,
            0xcca8,
            0x009c,
            0x009d,
        ],
        Client::Embedded => &[ECDHE_RSA_AES_128_GCM, 0xc030, 0x009c, 0x003c, 0x00ff],
    }
}

fn client_extensions(rng: &mut Rng, kind: Client, name: &str) -> Vec<u8> {
    let mut host = vec![0];
    host.extend_from_slice(&counted(name.as_bytes()));
    let groups = counted(&words(&[29, 23, 24]));
    let signatures = counted(&words(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501]));
    let mut all = vec![
        extension(0, &counted(&host)),
        extension(23, &[]),
        extension(10, &groups),
        extension(11, &[1, 0]),
        extension(35, &[]),
        extension(13, &signatures),
    ];
    if kind == Client::Browser {
        let mut share = vec![0, 29, 0, 32];
        share.extend_from_slice(&rng.array::<32>());
        all.push(extension(65_281, &[0]));
        all.push(extension(16, &counted(b"\x02h2\x08http/1.1")));
        all.push(extension(5, &[1, 0, 0, 0, 0]));
        all.push(extension(51, &counted(&share)));
        all.push(extension(45, &[1, 1]));
        all.push(extension(43, &[4, 3, 4, 3, 3]));
    }
    all.concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &counted(body)].concat()
}

/// The bytes after their length in two bytes.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
