//! DICOM upper layer (PS3.8 section 9.3): associations of modalities with the archive.
//!
//! What travels inside P-DATA is in `dimse`.

use super::dimse;
use super::hospital::{Device, Hospital};
use super::role::Role;
use super::tcp::{End, Tcp};
use super::wire::Script;

const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
const VERIFICATION: &str = "1.2.840.10008.1.1";
const CT_IMAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
const MR_IMAGE: &str = "1.2.840.10008.5.1.4.1.1.4";
const US_IMAGE: &str = "1.2.840.10008.5.1.4.1.1.6.1";
const WORKLIST: &str = "1.2.840.10008.5.1.4.31";
/// The longest PDU that either end takes, bytes.
const PDU_MAX: usize = 16_384;
/// The port that IANA assigned; used by CT and ultrasound.
const PORT: u16 = 104;
/// The registered user port; used by MR and PCs, so that a port alone tells nothing.
const OTHER_PORT: u16 = 11_112;
/// Images a series.
const IMAGES: u32 = 3;

/// A toolkit as it names itself: class UID, version name (PS3.7 annex D.3.3.2).
type Implementation = (&'static str, &'static str);
const DCMTK: Implementation = ("1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367");
const DCM4CHE: Implementation = ("1.2.40.0.13.1.1", "dcm4che-2.0");
const PYNETDICOM: Implementation = ("1.2.826.0.1.3680043.9.3811.2.0.2", "PYNETDICOM_202");

/// A modality verifies that the archive is there (C-ECHO).
pub(super) fn verify(script: &mut Script<'_>, hospital: &Hospital, device: &Device) {
    let mut link = Association::open(script, hospital, device, DCMTK);
    link.accept();
    link.client(4, &value(1, dimse::COMMAND, &dimse::echo_request(VERIFICATION)));
    link.server(4, &value(1, dimse::COMMAND, &dimse::echo_answer(VERIFICATION)));
    link.release();
}

/// A modality sends a series to the archive (C-STORE).
pub(super) fn store(script: &mut Script<'_>, hospital: &Hospital, device: &Device) {
    let class = image_class(device.role);
    let mut link = Association::open(script, hospital, device, DCMTK);
    link.accept();
    for number in 1..=IMAGES {
        let instance = format!("2.25.{}{number}", link.tcp.script.rng.draw());
        link.client(4, &value(3, dimse::COMMAND, &dimse::store_request(class, &instance, number)));
        let pixels = link.tcp.script.rng.bytes(dimse::PIXELS);
        let set = dimse::data_set(device, class, &instance, number, &pixels);
        let parts = set.chunks(PDU_MAX - 6);
        let count = parts.len();
        for (index, part) in parts.enumerate() {
            let control = if index + 1 == count { dimse::LAST_DATA } else { dimse::DATA };
            link.client(4, &value(3, control, part));
        }
        let answer = dimse::store_answer(class, &instance, number);
        link.server(4, &value(3, dimse::COMMAND, &answer));
    }
    link.release();
}

/// A PC that the archive does not know is turned away (A-ASSOCIATE-RJ).
pub(super) fn turned_away(script: &mut Script<'_>, hospital: &Hospital, device: &Device) {
    let mut link = Association::open(script, hospital, device, PYNETDICOM);
    // Rejected for good, by the service user: calling AE title not recognised (PS3.8 table 9-21).
    link.server(3, &[0, 1, 1, 3]);
    link.tcp.close();
}

struct Association<'s, 'p> {
    tcp: Tcp<'s, 'p>,
    called: String,
    calling: String,
    contexts: Vec<(u8, &'static str)>,
}

impl<'s, 'p> Association<'s, 'p> {
    /// Connects and requests (A-ASSOCIATE-RQ).
    fn open(
        script: &'s mut Script<'p>,
        hospital: &Hospital,
        device: &Device,
        implementation: Implementation,
    ) -> Self {
        let port = script.port(device);
        let odd = matches!(device.role, Role::Mr | Role::Research);
        let service = if odd { OTHER_PORT } else { PORT };
        let archive = hospital.server(Role::Pacs);
        let tcp = Tcp::open(script, (&device.host, port), (&archive.host, service));
        let calling = device.name.to_ascii_uppercase().replace('-', "_");
        let called = format!("{}_PACS", hospital.facility());
        let contexts = proposals(device.role);
        let mut link = Self { tcp, called, calling, contexts };
        let body = link.body(0x20, implementation);
        link.client(1, &body);
        link
    }

    /// A-ASSOCIATE-AC of all that was proposed.
    fn accept(&mut self) {
        let body = self.body(0x21, DCM4CHE);
        self.server(2, &body);
    }

    /// A-RELEASE-RQ, A-RELEASE-RP, and the end of the connection.
    fn release(mut self) {
        self.client(5, &[0; 4]);
        self.server(6, &[0; 4]);
        self.tcp.close();
    }

    fn client(&mut self, kind: u8, body: &[u8]) {
        self.tcp.say(End::Client, &pdu(kind, body));
    }

    fn server(&mut self, kind: u8, body: &[u8]) {
        self.tcp.say(End::Server, &pdu(kind, body));
    }

    /// The body of a request (contexts are items 20) or an acceptance (21).
    fn body(&self, context_item: u8, implementation: Implementation) -> Vec<u8> {
        let mut body = vec![0, 1, 0, 0];
        body.extend_from_slice(format!("{:16.16}{:16.16}", self.called, self.calling).as_bytes());
        body.extend_from_slice(&[0; 32]);
        body.extend_from_slice(&item(0x10, APPLICATION_CONTEXT.as_bytes()));
        for (id, class) in &self.contexts {
            body.extend_from_slice(&context(context_item, *id, class));
        }
        let user = [
            item(0x51, &(PDU_MAX as u32).to_be_bytes()),
            item(0x52, implementation.0.as_bytes()),
            item(0x55, implementation.1.as_bytes()),
        ];
        body.extend_from_slice(&item(0x50, &user.concat()));
        body
    }
}

/// What a role proposes: verification, its image storage, the worklist.
fn proposals(role: Role) -> Vec<(u8, &'static str)> {
    match role {
        Role::Research => vec![(1, VERIFICATION)],
        _ => vec![(1, VERIFICATION), (3, image_class(role)), (5, WORKLIST)],
    }
}

fn image_class(role: Role) -> &'static str {
    match role {
        Role::Mr => MR_IMAGE,
        Role::Ultrasound => US_IMAGE,
        _ => CT_IMAGE,
    }
}

fn context(kind: u8, id: u8, class: &str) -> Vec<u8> {
    let mut body = vec![id, 0, 0, 0];
    if kind == 0x20 {
        body.extend_from_slice(&item(0x30, class.as_bytes()));
        body.extend_from_slice(&item(0x40, EXPLICIT_LITTLE.as_bytes()));
        body.extend_from_slice(&item(0x40, IMPLICIT_LITTLE.as_bytes()));
    } else {
        body.extend_from_slice(&item(0x40, EXPLICIT_LITTLE.as_bytes()));
    }
    item(kind, &body)
}

/// An item of the variable part: type, reserved byte, length in two bytes.
fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// A PDU: type, reserved byte, length in four bytes.
fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

/// A presentation data value of a context (PS3.8 section 9.3.5.1).
fn value(context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32 + 2).to_be_bytes()[..], &[context, control], bytes].concat()
}
