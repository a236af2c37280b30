//! The truths of captures made with other people's software: what tshark reads of the DICOM
//! associations of DCMTK, and what the HL7 devices' senders were told to send.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::claim::{Claims, Peer};

pub(super) const PEER: Peer = Peer { folder: "peergen", claims };

const DICOM: &[&str] = &[
    "dicom.role",
    "dicom.calling_ae",
    "dicom.called_ae",
    "dicom.implementation_class_uid",
    "dicom.implementation_version_name",
    "dicom.result",
    "dicom.reason",
    "dicom.said_by",
];

const HL7: &[&str] = &["hl7.sending_application", "hl7.model", "hl7.system_id"];

fn claims(folder: &Path) -> Vec<Claims> {
    let read = |name: &str| fs::read_to_string(folder.join("expected").join(name)).unwrap();
    let associations = read("dcmtk_ct_mr_pacs.tshark-assoc.tsv");
    let devices = read("hl7_pcd01_mindray_bbraun.truth.json");
    vec![dicom(&associations), hl7(&serde_json::from_str(&devices).unwrap())]
}

/// One line an association PDU, whose type is its seventh column (PS3.8 section 9.3.1).
fn dicom(table: &str) -> Claims {
    let mut claims = Claims::of("dcmtk_ct_mr_pacs.pcap", DICOM);
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
        let [_, mac, from, to, _, _, kind, calling, called, class, version, said] = cells[..]
        else {
            panic!("twelve columns: {line}");
        };
        let by = format!("{from}>{to}");
        claims.add("", "dicom.said_by", &format!("{from} {mac}"));
        claims.add(&by, "dicom.role", if kind == "0x01" { "scu" } else { "scp" });
        claims.add(&by, "dicom.calling_ae", calling);
        claims.add(&by, "dicom.called_ae", called);
        claims.add(&by, "dicom.implementation_class_uid", class);
        claims.add(&by, "dicom.implementation_version_name", version);
        match kind {
            "0x02" => claims.add(&by, "dicom.result", "accepted"),
            "0x03" => {
                claims.add(&by, "dicom.result", "rejected-permanent");
                let reason = said.split_once('(').map_or("", |(_, reason)| reason);
                let reason = reason.trim_end_matches(')').to_lowercase().replace(' ', "-");
                claims.add(&by, "dicom.reason", &reason);
            }
            _ => {}
        }
    }
    claims
}

fn hl7(truth: &Value) -> Claims {
    let mut claims = Claims::of("hl7_pcd01_mindray_bbraun.pcap", HL7);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let server = text(&truth["server"]["ip"]);
    for device in truth["devices"].as_array().unwrap() {
        let ip = text(&device["ip"]);
        let by = format!("{ip}>{server}");
        claims.add("", "hl7.said_by", &format!("{ip} {}", text(&device["mac"])));
        claims.add(&by, "hl7.sending_application", &text(&device["msh3"]));
        claims.add(&by, "hl7.message_type", &text(&device["message"]));
        claims.add(&by, "hl7.version", &text(&device["hl7_version"]));
        claims.add(&by, "hl7.system_id", &text(&device["sys_id"]));
        // The truth adds in brackets where the model stands.
        let model = text(&device["model"]);
        claims.add(&by, "hl7.model", model.split(" (").next().unwrap_or_default());
        let answer = format!("{server}>{ip}");
        claims.add(&answer, "hl7.sending_application", &text(&truth["server"]["ack_app"]));
    }
    claims
}
