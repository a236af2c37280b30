//! What a device is: the table of roles and of what each says of itself.
//!
//! OUIs are registered ones (IEEE) of makers of such devices; product names, models and versions are
//! invented and claim nothing about a maker's products.

/// What a device does in the hospital.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// The router, and the way to hosts outside.
    Gateway,
    /// The access switch.
    Switch,
    /// DHCP and DNS.
    NameServer,
    /// The picture archive.
    Pacs,
    /// The HL7 interface engine.
    Engine,
    /// The electronic health record.
    Ehr,
    /// The infusion pumps' server.
    PumpServer,
    /// The patient monitors' central station, their gateway to HL7 (IHE PCD-01).
    Central,
    /// A CT scanner.
    Ct,
    /// An MR scanner.
    Mr,
    /// A portable ultrasound.
    Ultrasound,
    /// An infusion pump.
    Pump,
    /// A patient monitor.
    Monitor,
    /// A laboratory analyser.
    Analyser,
    /// A nurse station PC.
    Pc,
    /// A research PC, whose DICOM associations the archive rejects.
    Research,
    /// A network printer.
    Printer,
    /// An IP camera.
    Camera,
}

/// How many roles there are.
pub(super) const ROLES: usize = Role::Camera as usize + 1;

/// What every device of a role has in common.
pub(super) struct Profile {
    /// The first part of its host name.
    pub(super) label: &'static str,
    /// The invented maker that it names.
    pub(super) maker: &'static str,
    /// The invented model that it names.
    pub(super) model: &'static str,
    /// The invented software version that it names.
    pub(super) version: &'static str,
    /// Registered OUIs, taken in turn.
    pub(super) ouis: &'static [[u8; 3]],
    /// IPv4 TTL that its system sends with.
    pub(super) ttl: u8,
    /// DHCP option 60.
    pub(super) vendor_class: &'static str,
    /// DHCP option 55.
    pub(super) parameters: &'static [u8],
}

/// What an embedded Linux asks of DHCP.
const LINUX: &[u8] = &[1, 3, 6, 12, 15, 28, 42];
/// What a Windows asks of DHCP.
const WINDOWS: &[u8] = &[1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252];
/// What a real-time system asks of DHCP.
const RTOS: &[u8] = &[1, 3, 6, 15];

const AGFA: [u8; 3] = [0x08, 0x00, 0x66];
const ALARIS: [u8; 3] = [0x00, 0xd0, 0x75];
const AXIS: [u8; 3] = [0x00, 0x40, 0x8c];
const B_BRAUN: [u8; 3] = [0x00, 0x12, 0x21];
const CISCO: [u8; 3] = [0x00, 0x00, 0x0c];
const DELL: [u8; 3] = [0x00, 0x14, 0x22];
const GE_HEALTHCARE: [u8; 3] = [0x44, 0x4b, 0x5d];
const HEWLETT_PACKARD: [u8; 3] = [0x00, 0x60, 0xb0];
const MINDRAY: [u8; 3] = [0x00, 0x0f, 0x14];
const PHILIPS_CARDIAC: [u8; 3] = [0x00, 0x09, 0x5c];
const PHILIPS_MONITORING: [u8; 3] = [0x00, 0x09, 0xfb];
const PHILIPS_PCCI: [u8; 3] = [0x7c, 0x94, 0xb2];
const SYSMEX: [u8; 3] = [0x00, 0x06, 0x6b];

impl Role {
    /// The row of the table.
    pub(super) const fn profile(self) -> Profile {
        match self {
            Self::Gateway => network("gw", "Edge Router 8", &[CISCO]),
            Self::Switch => network("sw", "Access Switch 48", &[CISCO]),
            Self::NameServer => server("ns", "NameKeeper", &[DELL]),
            Self::Pacs => server("pacs", "ImageVault", &[AGFA]),
            Self::Engine => server("hl7", "ClinBridge", &[DELL]),
            Self::Ehr => server("ehr", "ChartHouse", &[DELL]),
            Self::PumpServer => server("pumps", "FluxServer", &[DELL]),
            Self::Central => server("central", "WardView Central", &[PHILIPS_CARDIAC]),
            Self::Ct => modality("ct", "Helix 64", &[GE_HEALTHCARE]),
            Self::Mr => modality("mr", "Tesla View 15", &[PHILIPS_PCCI]),
            Self::Ultrasound => modality("us", "EchoGo 3", &[MINDRAY]),
            Self::Pump => bedside("pump", "Fluxline", "FluxPump 4", &[B_BRAUN, ALARIS]),
            Self::Monitor => bedside("mon", "Wardlight", "WM120", &[PHILIPS_MONITORING, MINDRAY]),
            Self::Analyser => modality("lab", "Haemo X5", &[SYSMEX]),
            Self::Pc => office("pc"),
            Self::Research => office("research"),
            Self::Printer => gadget("prn", "Inkwell", "LaserPage 410", &[HEWLETT_PACKARD]),
            Self::Camera => gadget("cam", "Sentry Optics", "DomeCam 31", &[AXIS]),
        }
    }
}

const fn network(label: &'static str, model: &'static str, ouis: &'static [[u8; 3]]) -> Profile {
    Profile {
        label,
        maker: "Northgate Networks",
        model,
        version: "15.2.7",
        ouis,
        ttl: 255,
        vendor_class: "",
        parameters: &[],
    }
}

const fn server(label: &'static str, model: &'static str, ouis: &'static [[u8; 3]]) -> Profile {
    Profile {
        label,
        maker: "Northgate Health",
        model,
        version: "7.1.0",
        ouis,
        ttl: 64,
        vendor_class: "",
        parameters: &[],
    }
}

const fn modality(label: &'static str, model: &'static str, ouis: &'static [[u8; 3]]) -> Profile {
    Profile {
        label,
        maker: "Lumen Diagnostics",
        model,
        version: "5.4.2",
        ouis,
        ttl: 128,
        vendor_class: "lumen-diag",
        parameters: WINDOWS,
    }
}

const fn bedside(
    label: &'static str,
    maker: &'static str,
    model: &'static str,
    ouis: &'static [[u8; 3]],
) -> Profile {
    Profile {
        label,
        maker,
        model,
        version: "2.4.1",
        ouis,
        ttl: 64,
        vendor_class: "bedside-rt 2.4",
        parameters: RTOS,
    }
}

const fn office(label: &'static str) -> Profile {
    Profile {
        label,
        maker: "Northgate Office",
        model: "Desk 9",
        version: "10.0",
        ouis: &[DELL],
        ttl: 128,
        vendor_class: "MSFT 5.0",
        parameters: WINDOWS,
    }
}

const fn gadget(
    label: &'static str,
    maker: &'static str,
    model: &'static str,
    ouis: &'static [[u8; 3]],
) -> Profile {
    Profile {
        label,
        maker,
        model,
        version: "9.80.1",
        ouis,
        ttl: 64,
        vendor_class: "udhcp 1.30.1",
        parameters: LINUX,
    }
}
