//! The five captures of tapirx: the identifiers of devices that stand in their messages, stated
//! here as facts. tapirx's own tests, which look for them, are under the GPL and are not read.

use std::path::Path;

use super::claim::{Claims, Peer, Said};

pub(super) const PEER: Peer = Peer { folder: "tapirx", claims };

const ALL_OF: &[&str] = &[
    "dicom.role",
    "dicom.calling_ae",
    "dicom.called_ae",
    "dicom.implementation_version_name",
    "hl7.sending_application",
    "hl7.sending_facility",
    "hl7.message_type",
    "hl7.device_id",
];

/// File, key, values.
type Fact = (&'static str, &'static str, &'static [&'static str]);

const FACTS: [Fact; 21] = [
    ("dicom_arq_1_find_testclient", "dicom.role", &["scu"]),
    ("dicom_arq_1_find_testclient", "dicom.calling_ae", &["testclient"]),
    ("dicom_arq_1_find_testclient", "dicom.called_ae", &["testserver"]),
    ("dicom_arq_1_find_testclient", "dicom.implementation_version_name", &["GODICOM_1_1"]),
    (
        "dicom_arq_1_find_testclient",
        "dicom.implementation_class_uid",
        &["1.2.826.0.1.3680043.9.7133.1.1"],
    ),
    (
        "dicom_arq_1_find_testclient",
        "dicom.abstract_syntax",
        &[
            "1.2.840.10008.5.1.4.1.2.1.1",
            "1.2.840.10008.5.1.4.1.2.2.1",
            "1.2.840.10008.5.1.4.1.2.3.1",
            "1.2.840.10008.5.1.4.31",
        ],
    ),
    ("dicom_arq_2_get_testclient", "dicom.role", &["scu"]),
    ("dicom_arq_2_get_testclient", "dicom.calling_ae", &["testclient"]),
    ("dicom_arq_2_get_testclient", "dicom.called_ae", &["testserver"]),
    ("dicom_arq_2_get_testclient", "dicom.implementation_version_name", &["GODICOM_1_1"]),
    ("HL7-ADT", "hl7.sending_application", &["SENDING_APPLICATION", "RECEIVING_APPLICATION"]),
    ("HL7-ADT", "hl7.sending_facility", &["SENDING_FACILITY", "RECEIVING_FACILITY"]),
    ("HL7-ADT", "hl7.message_type", &["ADT^A01", "ACK"]),
    (
        "HL7-ADT-UDI-PRT",
        "hl7.sending_application",
        &["SENDING_APPLICATION", "RECEIVING_APPLICATION"],
    ),
    ("HL7-ADT-UDI-PRT", "hl7.sending_facility", &["SENDING_FACILITY", "RECEIVING_FACILITY"]),
    ("HL7-ADT-UDI-PRT", "hl7.message_type", &["ADT^A01", "ACK"]),
    ("HL7-ADT-UDI-PRT", "hl7.device_id", &["Hospira Plum A+"]),
    ("HL7-ORM", "hl7.sending_application", &["SendingApp", "ReceivingApp"]),
    ("HL7-ORM", "hl7.sending_facility", &["SendingFac", "ReceivingFac"]),
    ("HL7-ORM", "hl7.message_type", &["ORM^O01", "ACK"]),
    ("HL7-ORM", "hl7.version", &["2.3", "2.3"]),
];

fn claims(_folder: &Path) -> Vec<Claims> {
    let mut files: Vec<Claims> = Vec::new();
    for (stem, key, values) in FACTS {
        let file = format!("{stem}.pcap");
        if files.last().is_none_or(|last| last.file != file) {
            files.push(Claims { is_anonymous: true, ..Claims::of(&file, ALL_OF) });
        }
        let claims = files.last_mut().unwrap();
        values.iter().for_each(|value| claims.add(Said::ANYONE, key, value));
    }
    files
}
