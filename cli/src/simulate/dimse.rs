//! DICOM commands (PS3.7 annex E) and small data sets (PS3.5 section 7) that go inside P-DATA.
//!
//! Commands are implicit, data sets explicit little endian. Patient fields hold canaries only.

use super::hospital::Device;
use super::patient;
use super::role::Role;

/// Control byte of a command's last fragment (PS3.8 annex E.2).
pub(super) const COMMAND: u8 = 3;
/// Control byte of a data set's fragment that is not the last.
pub(super) const DATA: u8 = 0;
/// Control byte of a data set's last fragment.
pub(super) const LAST_DATA: u8 = 2;
/// Bytes of pixels an image: 96 by 96 of 16 bits, enough for two PDUs.
pub(super) const PIXELS: usize = SIDE as usize * SIDE as usize * 2;
const SIDE: u16 = 96;
const STORE: u16 = 0x0001;
const ECHO: u16 = 0x0030;
/// Marks a command as an answer.
const ANSWER: u16 = 0x8000;
/// The data set type of a command without one.
const NO_DATA: u16 = 0x0101;

/// C-ECHO-RQ.
pub(super) fn echo_request(class: &str) -> Vec<u8> {
    let number = 1;
    command(&[
        (0x0002, uid(class)),
        field(0x0100, ECHO),
        field(0x0110, number),
        field(0x0800, NO_DATA),
    ])
}

/// C-ECHO-RSP, success.
pub(super) fn echo_answer(class: &str) -> Vec<u8> {
    answer(ECHO, class, 1, None)
}

/// C-STORE-RQ; its data set follows.
pub(super) fn store_request(class: &str, instance: &str, number: u32) -> Vec<u8> {
    command(&[
        (0x0002, uid(class)),
        field(0x0100, STORE),
        field(0x0110, number as u16),
        field(0x0700, 0),
        field(0x0800, 0x0001),
        (0x1000, uid(instance)),
    ])
}

/// C-STORE-RSP, success.
pub(super) fn store_answer(class: &str, instance: &str, number: u32) -> Vec<u8> {
    answer(STORE, class, number as u16, Some(instance))
}

fn answer(kind: u16, class: &str, number: u16, instance: Option<&str>) -> Vec<u8> {
    let mut elements = vec![
        (0x0002, uid(class)),
        field(0x0100, ANSWER | kind),
        field(0x0120, number),
        field(0x0800, NO_DATA),
        field(0x0900, 0),
    ];
    elements.extend(instance.map(|instance| (0x1000, uid(instance))));
    command(&elements)
}

fn field(element: u16, value: u16) -> (u16, Vec<u8>) {
    (element, value.to_le_bytes().to_vec())
}

/// Group 0000, implicit little endian, its length first.
fn command(elements: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (element, value) in elements {
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&element.to_le_bytes());
        body.extend_from_slice(&(value.len() as u32).to_le_bytes());
        body.extend_from_slice(value);
    }
    let mut bytes = vec![0, 0, 0, 0, 4, 0, 0, 0];
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// One image: identity, patient, geometry, pixels.
pub(super) fn data_set(
    device: &Device,
    class: &str,
    instance: &str,
    number: u32,
    pixels: &[u8],
) -> Vec<u8> {
    let profile = device.profile();
    let series = format!("2.25.{}", u64::from(device.ordinal) + 1);
    let mut set = Set(Vec::new());
    set.text((0x0008, 0x0016), b"UI", class);
    set.text((0x0008, 0x0018), b"UI", instance);
    set.text((0x0008, 0x0060), b"CS", modality(device.role));
    set.text((0x0008, 0x0070), b"LO", profile.maker);
    set.text((0x0008, 0x1090), b"LO", profile.model);
    set.text((0x0010, 0x0010), b"PN", patient::NAME);
    set.text((0x0010, 0x0020), b"LO", patient::NUMBER);
    set.text((0x0018, 0x1000), b"LO", &device.serial());
    set.text((0x0020, 0x000d), b"UI", &format!("{series}.1"));
    set.text((0x0020, 0x000e), b"UI", &format!("{series}.1.1"));
    set.text((0x0020, 0x0013), b"IS", &number.to_string());
    set.number((0x0028, 0x0002), 1);
    set.text((0x0028, 0x0004), b"CS", "MONOCHROME2");
    for (element, value) in [(0x10, SIDE), (0x11, SIDE), (0x100, 16), (0x101, 16), (0x102, 15)] {
        set.number((0x0028, element), value);
    }
    set.number((0x0028, 0x0103), 0);
    set.pixels(pixels);
    set.0
}

fn modality(role: Role) -> &'static str {
    match role {
        Role::Mr => "MR",
        Role::Ultrasound => "US",
        _ => "CT",
    }
}

/// A UID as a value: of even length, filled with NUL (PS3.5 section 9.1).
fn uid(text: &str) -> Vec<u8> {
    even(text, 0)
}

fn even(text: &str, fill: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(fill);
    }
    bytes
}

/// Explicit little endian elements in ascending order.
struct Set(Vec<u8>);

impl Set {
    fn text(&mut self, tag: (u16, u16), representation: &[u8; 2], text: &str) {
        let fill = if representation == b"UI" { 0 } else { b' ' };
        self.short(tag, representation, &even(text, fill));
    }

    fn number(&mut self, tag: (u16, u16), value: u16) {
        self.short(tag, b"US", &value.to_le_bytes());
    }

    fn short(&mut self, tag: (u16, u16), representation: &[u8; 2], value: &[u8]) {
        self.tag(tag, representation);
        self.0.extend_from_slice(&(value.len() as u16).to_le_bytes());
        self.0.extend_from_slice(value);
    }

    /// (7FE0,0010) OW, whose length takes four bytes.
    fn pixels(&mut self, value: &[u8]) {
        self.tag((0x7fe0, 0x0010), b"OW");
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.0.extend_from_slice(value);
    }

    fn tag(&mut self, tag: (u16, u16), representation: &[u8; 2]) {
        self.0.extend_from_slice(&tag.0.to_le_bytes());
        self.0.extend_from_slice(&tag.1.to_le_bytes());
        self.0.extend_from_slice(representation);
    }
}
