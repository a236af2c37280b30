//! Which attributes say something of a device, what, and how much it weighs.
//!
//! A registry: an attribute that is not here is an event's matter and never evidence. Weights are
//! those of the domain's table, per mille; what an attribute says by itself stands here, what it says
//! by its meaning in `classify`. Both are part of `apply`: a change needs a new apply version.

use super::classify;
use super::evidence::{Field, Saying};
use super::record::{self, Record};

/// An attribute that says something of the device that the event is about.
#[derive(Debug)]
pub struct Reading {
    /// The attribute's key.
    pub key: &'static str,
    /// What its values say.
    pub says: &'static [Says],
}

/// What a value says.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// The value itself, for a field, with a weight.
    Itself(Field, u16),
    /// What the value means, for a field, with a weight.
    Means(Field, u16, fn(&str) -> Option<&'static str>),
}

use Says::{Itself, Means};

impl Says {
    /// What one value of an attribute says.
    pub(super) fn hear(self, source: Source, value: &str) -> Option<Saying<'_>> {
        match self {
            Itself(field, weight) => Some(Saying { field, value, source, weight }),
            Means(field, weight, meaning) => {
                meaning(value).map(|value| Saying { field, value, source, weight })
            }
        }
    }
}

/// A UDI, EUI-64 or serial number.
const NUMBER: u16 = 950;
/// A maker's own identifier or protocol grammar.
const GRAMMAR: u16 = 900;
/// A banner or description that names a model.
const BANNER: u16 = 850;
/// A DHCP vendor class, a host name that the device itself sends.
const NAME: u16 = 600;
/// MSH-3 and the like: set by an integrator.
const SETTING: u16 = 500;
/// The registration of an address block: it names who made the network interface.
const BLOCK: u16 = 300;

/// All of them; those of the same protocol together.
pub static READINGS: &[Reading] = &[
    Reading { key: "link.oui_vendor", says: &[Itself(Field::Vendor, BLOCK)] },
    Reading { key: "link.addresses", says: &[Itself(Field::Class, SETTING)] },
    Reading { key: "dhcp.hostname", says: &[Itself(Field::Hostname, NAME)] },
    Reading { key: "dhcp.fqdn", says: &[Itself(Field::Hostname, NAME)] },
    Reading {
        key: "dhcp.vendor_class",
        says: &[
            Itself(Field::Platform, NAME),
            Means(Field::Class, NAME, classify::dhcp_vendor_class),
        ],
    },
    Reading {
        key: "lldp.capabilities",
        says: &[
            Means(Field::Class, BANNER, classify::lldp_capability),
            Means(Field::Class, BANNER - 50, classify::lldp_forwarding),
        ],
    },
    Reading { key: "lldp.system_name", says: &[Itself(Field::Hostname, BANNER)] },
    Reading { key: "lldp.system_description", says: &[Itself(Field::Platform, BANNER)] },
    Reading { key: "lldp.inventory_manufacturer", says: &[Itself(Field::Vendor, BANNER)] },
    Reading { key: "lldp.inventory_model", says: &[Itself(Field::Model, BANNER)] },
    Reading { key: "lldp.inventory_serial", says: &[Itself(Field::Serial, NUMBER)] },
    Reading { key: "lldp.inventory_firmware", says: &[Itself(Field::Software, BANNER)] },
    Reading { key: "lldp.inventory_software", says: &[Itself(Field::Software, BANNER)] },
    Reading { key: "cdp.device_id", says: &[Itself(Field::Hostname, BANNER)] },
    Reading { key: "cdp.platform", says: &[Itself(Field::Model, BANNER)] },
    Reading { key: "cdp.software", says: &[Itself(Field::Software, BANNER)] },
    Reading { key: "mdns.service", says: &[Means(Field::Class, BANNER, classify::dns_service)] },
    Reading { key: "mdns.hostname", says: &[Itself(Field::Hostname, NAME)] },
    Reading { key: "nbns.name", says: &[Itself(Field::Hostname, SETTING)] },
    Reading { key: "dicom.implementation_version_name", says: &[Itself(Field::Software, GRAMMAR)] },
    Reading {
        key: "dicom.implementation_class_uid",
        says: &[Means(Field::Vendor, SETTING, classify::uid_root)],
    },
    // What follows depends on the role: `dicom`.
    Reading { key: "dicom.calling_ae", says: &[] },
    Reading { key: "dicom.called_ae", says: &[] },
    Reading { key: "dicom.abstract_syntax", says: &[] },
    Reading { key: "dicom.role", says: &[] },
    Reading { key: "dicom.result", says: &[] },
    Reading { key: "hl7.sending_application", says: &[Itself(Field::Application, SETTING)] },
    Reading { key: "hl7.sending_facility", says: &[Itself(Field::Facility, SETTING)] },
    Reading {
        key: "hl7.message_type",
        says: &[Means(Field::Class, SETTING, classify::hl7_message)],
    },
    Reading { key: "hl7.profile", says: &[Means(Field::Class, NAME, classify::hl7_profile)] },
    Reading { key: "hl7.equipment_id", says: &[Itself(Field::Equipment, NUMBER)] },
    Reading { key: "hl7.device_id", says: &[Itself(Field::Equipment, NUMBER)] },
    Reading { key: "hl7.udi", says: &[Itself(Field::Equipment, NUMBER)] },
    Reading { key: "hl7.model", says: &[Itself(Field::Model, BANNER)] },
    Reading { key: "http.server", says: &[Itself(Field::Software, SETTING)] },
    Reading { key: "http.user_agent", says: &[Itself(Field::Platform, BLOCK)] },
    Reading {
        key: "rtsp.server",
        says: &[Itself(Field::Software, BANNER), Means(Field::Class, SETTING, classify::camera)],
    },
    Reading { key: "snmp.sysdescr", says: &[Itself(Field::Platform, BANNER)] },
    Reading { key: "snmp.sysname", says: &[Itself(Field::Hostname, BANNER)] },
    Reading { key: "telnet.banner", says: &[Itself(Field::Platform, BANNER)] },
    Reading { key: "sdc.manufacturer", says: &[Itself(Field::Vendor, GRAMMAR)] },
    Reading { key: "sdc.model_name", says: &[Itself(Field::Model, GRAMMAR)] },
    Reading { key: "sdc.serial_number", says: &[Itself(Field::Serial, NUMBER)] },
    Reading { key: "sdc.firmware", says: &[Itself(Field::Software, GRAMMAR)] },
    Reading { key: "bacnet.model_name", says: &[Itself(Field::Model, GRAMMAR)] },
    Reading { key: "bacnet.firmware", says: &[Itself(Field::Software, GRAMMAR)] },
    Reading { key: "modbus.vendor", says: &[Itself(Field::Vendor, GRAMMAR)] },
    Reading { key: "modbus.product", says: &[Itself(Field::Model, GRAMMAR)] },
];

/// The attribute that a piece of evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(&'static str);

impl Source {
    /// The attribute's key, `dicom.calling_ae`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The source of an attribute, with what its values say; `None` where it is never evidence.
    #[must_use]
    pub fn of(key: &str) -> Option<(Self, &'static [Says])> {
        let reading = READINGS.iter().find(|reading| reading.key == key)?;
        Some((Self(reading.key), reading.says))
    }

    /// A source that this build names itself; its key stands in [`READINGS`], as a test holds.
    pub(super) const fn known(key: &'static str) -> Self {
        Self(key)
    }

    /// Whether it is said on the link itself: by the station with the MAC address, not by one that a
    /// router forwards for.
    #[must_use]
    pub fn is_on_link(self) -> bool {
        let protocol = self.0.split('.').next().unwrap_or_default();
        matches!(protocol, "link" | "lldp" | "cdp" | "dhcp")
    }
}

/// By name: a table that grows does not change what a snapshot says.
impl Record for Source {
    fn write(&self, out: &mut Vec<u8>) {
        record::write_text(self.0, out);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Self::of(&String::read(from)?).map(|(source, _)| source)
    }
}
