//! HL7 v2 over MLLP: admissions, laboratory results, and vital signs after IHE PCD-01.
//!
//! Every message is answered (HL7 chapter 2.9.2). Patient fields hold canaries only.

use wardmesh_common::time::Timestamp;

use super::hospital::{Device, Hospital};
use super::patient;
use super::role::Role;
use super::tcp::{End, Tcp};
use super::wire::Script;

/// The TCP port of MLLP.
const PORT: u16 = 2575;
/// MSH-21 of the device observation message (IHE DEV TF-2, PCD-01).
const PCD_01: &str = "IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO";

/// OBX-6 of a heart rate.
const BEATS: &str = "264864^MDC_DIM_BEAT_PER_MIN^MDC";
/// OBX-6 of a saturation.
const PERCENT: &str = "262688^MDC_DIM_PERCENT^MDC";

/// The record system admits (A01) or updates (A08) the patient.
pub(super) fn admission(script: &mut Script<'_>, hospital: &Hospital) {
    let (ehr, engine) = (hospital.server(Role::Ehr), hospital.server(Role::Engine));
    let trigger = if script.rng.below(2) == 0 { "A01" } else { "A08" };
    let mut message = Message::new(script, hospital, ehr, engine);
    let kind = format!("ADT^{trigger}^ADT_A01");
    message.header(&kind, "2.5.1", "");
    message.line(&format!("EVN|{trigger}|{}", message.time));
    message.patient();
    deliver(script, ehr, engine, &message);
}

/// The analyser sends a blood count to the engine, which passes it on to the record system.
pub(super) fn laboratory(script: &mut Script<'_>, hospital: &Hospital, analyser: &Device) {
    let (ehr, engine) = (hospital.server(Role::Ehr), hospital.server(Role::Engine));
    let cells = script.rng.between(40, 110);
    for (from, to) in [(analyser, engine), (engine, ehr)] {
        let mut message = Message::new(script, hospital, from, to);
        message.header("ORU^R01^ORU_R01", "2.5.1", "");
        message.patient();
        let instrument = device_id(analyser);
        let (time, remark) = (message.time.clone(), patient::REMARK);
        message.line(&format!("OBR|1|ORDER-1|FILL-1|58410-2^CBC^LN|||{time}"));
        message.line(&format!(
            "OBX|1|NM|6690-2^WBC^LN||{}.{}|10*3/uL|||||F|||{time}||||{instrument}",
            cells / 10,
            cells % 10,
        ));
        message.line(&format!("OBX|2|ST|REMARK^Remark^L||{remark}||||||F"));
        deliver(script, from, to, &message);
    }
}

/// The central station reports a monitor's vital signs for it.
pub(super) fn vital_signs(script: &mut Script<'_>, hospital: &Hospital, monitor: &Device) {
    let (central, engine) = (hospital.server(Role::Central), hospital.server(Role::Engine));
    let mut message = Message::new(script, hospital, central, engine);
    message.header("ORU^R01^ORU_R01", "2.6", PCD_01);
    message.patient();
    let (id, time) = (device_id(monitor), message.time.clone());
    let order = message.control.clone();
    message.line(&format!("OBR|1|{order}|{order}|182777000^monitoring of patient^SCT|||{time}"));
    let statements = statements(script, monitor);
    for (number, (code, kind, value, unit)) in (1..).zip(statements) {
        let status = if kind.is_empty() { "X" } else { "R" };
        message.line(&format!(
            "OBX|{number}|{kind}|{code}|{value}|{unit}|||||{status}|||{time}||||{id}"
        ));
    }
    deliver(script, central, engine, &message);
}

/// OBX-3 and 4, OBX-2, OBX-5, OBX-6: what the monitor is, then what it measured (ISO/IEEE
/// 11073-10101 codes). The first only opens the device's containment tree and has no value.
type Statement = (&'static str, &'static str, String, &'static str);

fn statements(script: &mut Script<'_>, monitor: &Device) -> [Statement; 7] {
    let profile = monitor.profile();
    let (maker, model) = (profile.maker.to_owned(), profile.model.to_owned());
    let rate = script.rng.between(58, 104).to_string();
    let saturation = script.rng.between(93, 100).to_string();
    [
        ("69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0", "", String::new(), ""),
        ("67972^MDC_ATTR_SYS_ID^MDC|1.0.0.67972", "ST", monitor.eui64(), ""),
        ("531970^MDC_ID_MODEL_MANUFACTURER^MDC|1.0.0.531970", "ST", maker, ""),
        ("531969^MDC_ID_MODEL_NUMBER^MDC|1.0.0.531969", "ST", model, ""),
        ("531972^MDC_ID_PROD_SPEC_SERIAL^MDC|1.0.0.531972", "ST", monitor.serial(), ""),
        ("147842^MDC_ECG_HEART_RATE^MDC|1.1.1.147842", "NM", rate, BEATS),
        ("150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.2.150456", "NM", saturation, PERCENT),
    ]
}

/// OBX-18 (EI, chapter 7.4.2.18): serial, model, EUI-64.
fn device_id(device: &Device) -> String {
    let model = device.profile().model.to_ascii_uppercase().replace(' ', "_");
    format!("{}^{model}^{}^EUI-64", device.serial(), device.eui64())
}

/// MLLP: VT, message, FS, CR; the receiver's ACK on the same connection.
fn deliver(script: &mut Script<'_>, from: &Device, to: &Device, message: &Message<'_>) {
    let port = script.port(from);
    let answer = message.answer();
    let mut tcp = Tcp::open(script, (&from.host, port), (&to.host, PORT));
    tcp.say(End::Client, &block(&message.text));
    tcp.script.wait(1_000, 9_000);
    tcp.say(End::Server, &block(&answer));
    tcp.close();
}

fn block(text: &str) -> Vec<u8> {
    [&[0x0b], text.as_bytes(), &[0x1c, 0x0d]].concat()
}

struct Message<'a> {
    text: String,
    time: String,
    control: String,
    facility: String,
    from: &'a Device,
    to: &'a Device,
}

impl<'a> Message<'a> {
    fn new(script: &mut Script<'_>, hospital: &Hospital, from: &'a Device, to: &'a Device) -> Self {
        let time = moment(script.now());
        let label = from.name.to_ascii_uppercase();
        let control = format!("{label}-{:010}", script.rng.below(10_000_000_000));
        Self { text: String::new(), time, control, facility: hospital.facility(), from, to }
    }

    fn line(&mut self, segment: &str) {
        self.text.push_str(segment);
        self.text.push('\r');
    }

    /// MSH (chapter 2.14.9); a profile goes into MSH-21.
    fn header(&mut self, kind: &str, version: &str, profile: &str) {
        let (from, to, facility) = (application(self.from), application(self.to), &self.facility);
        let (time, control) = (&self.time, &self.control);
        let tail = if profile.is_empty() { String::new() } else { format!("|||||||||{profile}") };
        let line = format!(
            "MSH|^~\\&|{from}|{facility}|{to}|{facility}|{time}||{kind}|{control}|P|{version}{tail}"
        );
        self.line(&line);
    }

    fn patient(&mut self) {
        let (name, number) = (patient::NAME, patient::NUMBER);
        self.line(&format!(
            "PID|1||{number}^^^HOSPITAL^MR||{name}||19000101|U|||{}",
            patient::ADDRESS
        ));
        self.line(&format!("PV1|1|I|{}||||{}", patient::LOCATION, patient::DOCTOR));
    }

    /// The receiver's ACK, code AA.
    fn answer(&self) -> String {
        let (from, to, facility) = (application(self.to), application(self.from), &self.facility);
        let (time, control) = (&self.time, &self.control);
        format!(
            "MSH|^~\\&|{from}|{facility}|{to}|{facility}|{time}||ACK|R-{control}|P|2.5.1\r\
             MSA|AA|{control}\r"
        )
    }
}

/// MSH-3 of a device: its product's name.
fn application(device: &Device) -> String {
    device.profile().model.to_ascii_uppercase().replace(' ', "_")
}

/// A DTM with the UTC offset (chapter 2A.3.22): `20260105080000+0000`.
fn moment(nanos: u64) -> String {
    let text = Timestamp::from_nanos(nanos).to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{digits}+0000")
}
