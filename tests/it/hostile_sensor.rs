//! Sensors that are broken or hostile, with a valid certificate and without: each is answered with a
//! reason, counted and cut off where it repeats; a good sensor goes on meanwhile.

use std::path::Path;

use serde_json::json;
use wardmesh_common::id::{SensorId, TenantId};
use wardmesh_common::tls::authority::Authority;
use wardmesh_common::tls::{INGEST_ALPN, Identity, IdentityFiles, Principal, RAFT_ALPN};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Schema;
use wardmesh_common::wire::message::{Hello, Message, Outcome, Reason};

use crate::harness::client::{Client, hello};
use crate::harness::forge::{Forge, patched};
use crate::harness::ledger::Ledger;
use crate::harness::{NODES, Site, World, drained, judge, scenario, wait_until};

/// Batches of a connection that may be rejected before it is cut.
const OFFENCES_MAX: u32 = 8;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn files(certificate: &Path, authority: &Path) -> IdentityFiles {
    IdentityFiles {
        certificate: certificate.join("certificate.pem"),
        key: certificate.join("key.pem"),
        authority: authority.join("authority.pem"),
    }
}

fn folder(site: &Site) -> std::path::PathBuf {
    site.files.config.parent().unwrap().join("identity")
}

fn identity(site: &Site) -> Identity {
    Identity::load(&files(&folder(site), &folder(site))).unwrap()
}

/// Makes the next batch such that it can never be applied.
type Poison = fn(&mut Forge) -> bytes::Bytes;

/// A mesh with a site whose sensor is played by the test.
struct Scene {
    world: World,
    site: Site,
    identity: Identity,
    sensor: SensorId,
}

impl Scene {
    fn new() -> Self {
        let world = World::found_with_snapshots_every(Some(20));
        let site = world.site(&scenario("hostile", 18, 1, 1));
        Self { identity: identity(&site), sensor: site.files.sensor, world, site }
    }

    fn address(&self) -> &str {
        &self.world.mesh.nodes()[0].ingest_address
    }

    async fn connect(&self) -> Client {
        Client::connect(self.address(), &self.identity).await.unwrap()
    }

    fn rejected(&self, reason: Reason) -> u64 {
        let begin = format!("wardmesh_ingest_rejected_total{{reason=\"{reason}\"}}");
        self.world.metric(0, &begin)
    }

    fn watermark(&self, epoch: u64) -> u64 {
        let path = format!("/api/v1/sensors/{}/watermark", self.sensor);
        let marks = self.world.get(0, &path, &[]);
        let epoch = format!("{epoch:016x}");
        let found = marks["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|mark| mark["epoch"] == epoch.as_str() && mark["lane"] == "bulk");
        found.unwrap_or_else(|| panic!("{marks}"))["contiguous_seq"].as_u64().unwrap()
    }
}

/// Acknowledged, at whatever index.
fn acknowledged(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Acknowledged(_))
}

async fn hellos_that_are_refused(scene: &Scene) {
    let other = SensorId([7; 16]);
    let own = hello(scene.sensor, 1);
    let cases: [(Hello, Reason); 5] = [
        (hello(other, 1), Reason::WrongSensor),
        (Hello { cluster: Some([9; 16]), ..own.clone() }, Reason::WrongCluster),
        (Hello { version_min: 2, version_max: 3, ..own.clone() }, Reason::UnknownSchema),
        (Hello { held: vec![5; 17], ..own.clone() }, Reason::TooLarge),
        (Hello { software: "x".repeat(65), ..own }, Reason::TooLarge),
    ];
    for (hello, reason) in cases {
        let client = scene.connect().await;
        let answer = client.stream().await.unwrap().greet(Lane::Bulk, hello).await;
        match answer {
            Ok(Message::Refusal(refusal)) => assert_eq!(refusal.reason, reason),
            other => panic!("no refusal ({reason}): {other:?}"),
        }
        client.cut().await;
    }
    let client = scene.connect().await;
    let mut stream = client.stream().await.unwrap();
    stream.send(Forge::new(scene.sensor, 1).batch()).await.unwrap();
    stream.refused(Reason::OutOfTurn).await;
    client.cut().await;
}

/// Each is refused at once: it has no place in this lane that could be passed over.
async fn frames_that_cut_the_connection(scene: &Scene) {
    let mut forge = Forge::new(scene.sensor, 2);
    let good = forge.batch();
    let hello_again = Message::Hello(hello(scene.sensor, 2));
    let hello_again = hello_again.seal(Lane::Bulk, wardmesh_common::clock::now()).unwrap();
    let cases = [
        ("lane", patched(&good, 10, &[0]), Reason::OutOfTurn),
        ("checksum", [&good[..good.len() - 1], &[0xff]].concat().into(), Reason::Malformed),
        ("magic", patched(&good, 0, b"HTTP"), Reason::Malformed),
    ];
    for (what, frame, reason) in cases {
        let before = scene.rejected(reason);
        let client = scene.connect().await;
        let (mut bulk, _urgent) = client.lanes(&hello(scene.sensor, 2)).await;
        bulk.send(frame).await.unwrap();
        bulk.refused(reason).await;
        client.cut().await;
        assert!(scene.rejected(reason) > before, "{what} was not counted");
    }
    assert_eq!(hello_again[4], Schema::Hello as u8);
    let client = scene.connect().await;
    let (mut bulk, _urgent) = client.lanes(&hello(scene.sensor, 2)).await;
    // A length that no frame has: nothing more is read.
    bulk.raw(&[0xff; 12]).await;
    bulk.refused(Reason::TooLarge).await;
    client.cut().await;
}

/// What is not the next in its lane; the poison is passed over and what follows it is applied.
async fn places_and_poison(scene: &Scene) {
    let client = scene.connect().await;
    let (mut bulk, _urgent) = client.lanes(&hello(scene.sensor, 3)).await;
    let mut forge = Forge::new(scene.sensor, 3);
    let first = forge.batch();
    let place = forge.place();
    for _ in 0..3 {
        assert!(acknowledged(&bulk.submit(place, first.clone()).await), "first or again");
    }
    let mut ahead = forge.clone();
    ahead.lose();
    let later = ahead.batch();
    assert_eq!(bulk.submit(ahead.place(), later).await, Outcome::Gap(2));
    let mut unopened = Forge::new(scene.sensor, 99);
    let batch = unopened.batch();
    let outcome = bulk.submit(unopened.place(), batch).await;
    assert_eq!(outcome, Outcome::Rejected(Reason::EpochClosed));
    let mut restored = Forge::new(scene.sensor, 3);
    restored.malformed();
    let batch = restored.batch();
    let outcome = bulk.submit(restored.place(), batch).await;
    assert_eq!(outcome, Outcome::Rejected(Reason::Forked));

    // The last four cannot be read, but their checksum holds, and so does their place.
    let poisons: [(Poison, Reason); 7] = [
        (|forge| forge.batch_naming(SensorId([7; 16])), Reason::WrongSensor),
        (Forge::malformed, Reason::Malformed),
        (Forge::bomb, Reason::Malformed),
        (|forge| patched(&forge.batch(), 6, &9_u16.to_le_bytes()), Reason::UnknownSchema),
        (|forge| patched(&forge.batch(), 4, &77_u16.to_le_bytes()), Reason::UnknownSchema),
        (|forge| patched(&forge.batch(), 16, &u32::MAX.to_le_bytes()), Reason::TooLarge),
        (|forge| patched(&forge.batch(), 56, &[1]), Reason::Malformed),
    ];
    for (poison, reason) in poisons {
        let before = scene.rejected(reason);
        let poison = poison(&mut forge);
        assert_eq!(bulk.submit(forge.place(), poison).await, Outcome::Rejected(reason));
        assert!(scene.rejected(reason) > before, "{reason} was not counted");
        let good = forge.batch();
        assert!(acknowledged(&bulk.submit(forge.place(), good).await), "after {reason}");
        assert_eq!(scene.watermark(3), forge.place().1);
    }
}

async fn repeated_offences(scene: &Scene) {
    let client = scene.connect().await;
    let (mut bulk, _urgent) = client.lanes(&hello(scene.sensor, 4)).await;
    let mut forge = Forge::new(scene.sensor, 4);
    for _ in 1..OFFENCES_MAX {
        let poison = forge.malformed();
        let outcome = bulk.submit(forge.place(), poison).await;
        assert_eq!(outcome, Outcome::Rejected(Reason::Malformed));
    }
    bulk.send(forge.malformed()).await.unwrap();
    bulk.refused(Reason::Malformed).await;
    client.cut().await;
}

#[test]
fn what_a_sensor_may_not_send_is_refused_and_stops_nobody_else() {
    let mut scene = Scene::new();
    let good = scene.world.site(&scenario("good", 26, 10, 1));
    let mut replay = scene.world.replay(&good, "120x");
    let acked = || Ledger::read(&good.files.ledger).acked.len();
    wait_until("the good sensor is served", || acked() > 0);
    let before = acked();
    block_on(async {
        hellos_that_are_refused(&scene).await;
        frames_that_cut_the_connection(&scene).await;
        places_and_poison(&scene).await;
        repeated_offences(&scene).await;
    });
    wait_until("the good sensor goes on", || acked() > before);
    assert!(replay.is_running().is_ok());
    drained(replay);

    judge::exactly_once(&scene.world, std::slice::from_ref(&good));
    let expected: Vec<(u64, u64)> = [1, 3, 5, 7, 9, 11, 13, 15].map(|seq| (3, seq)).into();
    applied_batches(&scene, &expected);
    // What was refused stands in the log as well: an index that is built anew passes over it too.
    scene.world.rebuild_index(1);
    scene.world.settle();
    applied_batches(&scene, &expected);
}

/// The batches of the hostile sensor that are in `/events` of every node, by epoch and place.
fn applied_batches(scene: &Scene, expected: &[(u64, u64)]) {
    let first = scene.world.events(0, scene.sensor).0;
    for node in 0..NODES {
        let (events, _) = scene.world.events(node, scene.sensor);
        let place = |event: &serde_json::Value| {
            let epoch = u64::from_str_radix(event["epoch"].as_str().unwrap(), 16).unwrap();
            (epoch, event["seq"].as_u64().unwrap())
        };
        let found: Vec<_> = events.iter().map(place).collect();
        assert_eq!(found, expected, "node {node}");
        assert!(events == first, "node {node} has other events");
    }
}

#[test]
fn who_may_not_come_in_stays_outside() {
    let scene = Scene::new();
    let folder = folder(&scene.site);
    let node = scene.world.mesh.folder().join("node-1");
    let (ingest, raft) = (node.join("ingest"), node.join("raft"));
    let raft_address = &scene.world.mesh.nodes()[0].raft_address;
    let stranger = || Principal::Sensor {
        cluster: wardmesh_cli::local::CLUSTER.to_owned(),
        tenant: TenantId::default_tenant(),
        sensor: SensorId::from_random([3; 16]),
    };
    let foreign = Authority::new("another").unwrap().issue(&stranger()).unwrap();
    let foreign_folder = scene.world.mesh.folder().join("foreign");
    std::fs::create_dir(&foreign_folder).unwrap();
    std::fs::write(foreign_folder.join("certificate.pem"), &foreign.certificate).unwrap();
    std::fs::write(foreign_folder.join("key.pem"), &foreign.key).unwrap();
    let load = |certificate: &Path, authority: &Path| {
        Identity::load(&files(certificate, authority)).unwrap()
    };
    let unenrolled = scene.world.mesh.ingest_authority().issue(&stranger()).unwrap().identity();
    let at_ingest = |identity: Identity| (scene.address(), identity.client(INGEST_ALPN).unwrap());
    let at_raft = |identity: Identity| (&**raft_address, identity.client(RAFT_ALPN).unwrap());
    let cases = [
        ("of another authority", at_ingest(load(&foreign_folder, &ingest))),
        ("a node's at the ingest port", at_ingest(load(&ingest, &ingest))),
        ("a node's Raft identity at the ingest port", at_ingest(load(&raft, &ingest))),
        ("a sensor's at the Raft port", at_raft(load(&folder, &raft))),
        ("an ingest identity at the Raft port", at_raft(load(&ingest, &raft))),
        ("not enrolled", at_ingest(unenrolled)),
        ("none", (scene.address(), without_certificate(&ingest))),
    ];
    block_on(async {
        for (what, (address, tls)) in cases {
            eprintln!("certificate: {what}");
            // Some are refused in the handshake, which the client may learn of only later.
            if let Ok(client) = Client::connect_with(address, tls).await {
                client.unserved(&hello(scene.sensor, 1)).await;
            }
        }
        // The same connection with the enrolled sensor's is served.
        scene.connect().await.lanes(&hello(scene.sensor, 1)).await;
    });
    assert!(scene.rejected(Reason::NotEnrolled) >= 1);
}

fn without_certificate(authority: &Path) -> quinn::crypto::rustls::QuicClientConfig {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let authority = authority.join("authority.pem");
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![INGEST_ALPN.to_vec()];
    config.try_into().unwrap()
}

#[test]
fn a_revoked_sensor_is_cut_off_on_every_node_and_stays_out() {
    let scene = Scene::new();
    let hello = hello(scene.sensor, 1);
    block_on(async {
        let mut live = Vec::new();
        for node in scene.world.mesh.nodes() {
            let client = Client::connect(&node.ingest_address, &scene.identity).await.unwrap();
            let lanes = client.lanes(&hello).await;
            live.push((client, lanes));
        }
        let path = format!("/api/v1/sensors/{}/revoke", scene.sensor);
        scene.world.mesh.nodes()[0].client().post(&path, &json!({})).unwrap();
        for (client, _) in &live {
            client.cut().await;
        }
        for node in scene.world.mesh.nodes() {
            let client = Client::connect(&node.ingest_address, &scene.identity).await.unwrap();
            let mut stream = client.stream().await.unwrap();
            match stream.greet(Lane::Bulk, hello.clone()).await {
                Ok(Message::Refusal(refusal)) => assert_eq!(refusal.reason, Reason::Revoked),
                other => panic!("not refused: {other:?}"),
            }
            client.cut().await;
        }
    });
    assert!(scene.rejected(Reason::Revoked) >= 1);
}
