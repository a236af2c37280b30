//! What a device is: the table of roles and of what each says of itself.
//!
//! OUIs are registered ones (IEEE) of makers of such devices; product names, models and versions
//! are invented and claim nothing about a maker's products.

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
const AXIS: [u8; 3] = [0x00, 0x40, 0x8c];
const B_BRAUN: [u8; 3] = [0x00, 0x12, 0x21];
const CISCO: [u8; 3] = [0x00, 0x00, 0x0c];
const DELL: [u8; 3] = [0x00, 0x14, 0x22];
const FRESENIUS_VIAL: [u8; 3] = [0x00, 0x13, 0x38];
const GE_HEALTHCARE: [u8; 3] = [0x44, 0x4b, 0x5d];
const HEWLETT_PACKARD: [u8; 3] = [0x00, 0x60, 0xb0];
const MINDRAY: [u8; 3] = [0x00, 0x0f, 0x14];
const PHILIPS_CARDIAC: [u8; 3] = [0x00, 0x09, 0x5c];
const PHILIPS_MONITORING: [u8; 3] = [0x00, 0x09, 0xfb];
const PHILIPS_PCCI: [u8; 3] = [0x7c, 0x94, 0xb2];
const SYSMEX: [u8; 3] = [0x00, 0x06, 0x6b];

const NETWORK: Profile = Profile {
    label: "",
    maker: "Northgate Networks",
    model: "",
    version: "15.2.7",
    ouis: &[CISCO],
    ttl: 255,
    vendor_class: "",
    parameters: &[],
};
const SERVER: Profile =
    Profile { maker: "Northgate Health", version: "7.1.0", ouis: &[DELL], ttl: 64, ..NETWORK };
const MODALITY: Profile = Profile {
    maker: "Lumen Diagnostics",
    version: "5.4.2",
    ttl: 128,
    vendor_class: "lumen-diag",
    parameters: WINDOWS,
    ..NETWORK
};
const BEDSIDE: Profile = Profile {
    version: "2.4.1",
    ttl: 64,
    vendor_class: "bedside-rt 2.4",
    parameters: RTOS,
    ..NETWORK
};
const OFFICE: Profile = Profile {
    maker: "Northgate Office",
    model: "Desk 9",
    version: "10.0",
    ouis: &[DELL],
    ttl: 128,
    vendor_class: "MSFT 5.0",
    parameters: WINDOWS,
    ..NETWORK
};
const GADGET: Profile = Profile {
    version: "9.80.1",
    ttl: 64,
    vendor_class: "udhcp 1.30.1",
    parameters: LINUX,
    ..NETWORK
};

impl Role {
    /// The row of the table.
    pub(super) const fn profile(self) -> Profile {
        match self {
            Self::Gateway => Profile { label: "gw", model: "Edge Router 8", ..NETWORK },
            Self::Switch => Profile { label: "sw", model: "Access Switch 48", ..NETWORK },
            Self::NameServer => Profile { label: "ns", model: "NameKeeper", ..SERVER },
            Self::Pacs => Profile { label: "pacs", model: "ImageVault", ouis: &[AGFA], ..SERVER },
            Self::Engine => Profile { label: "hl7", model: "ClinBridge", ..SERVER },
            Self::Ehr => Profile { label: "ehr", model: "ChartHouse", ..SERVER },
            Self::PumpServer => Profile { label: "pumps", model: "FluxServer", ..SERVER },
            Self::Central => CENTRAL,
            Self::Ct => {
                Profile { label: "ct", model: "Helix 64", ouis: &[GE_HEALTHCARE], ..MODALITY }
            }
            Self::Mr => {
                Profile { label: "mr", model: "Tesla View 15", ouis: &[PHILIPS_PCCI], ..MODALITY }
            }
            Self::Ultrasound => {
                Profile { label: "us", model: "EchoGo 3", ouis: &[MINDRAY], ..MODALITY }
            }
            Self::Pump => PUMP,
            Self::Monitor => MONITOR,
            Self::Analyser => {
                Profile { label: "lab", model: "Haemo X5", ouis: &[SYSMEX], ..MODALITY }
            }
            Self::Pc => Profile { label: "pc", ..OFFICE },
            Self::Research => Profile { label: "research", ..OFFICE },
            Self::Printer => PRINTER,
            Self::Camera => CAMERA,
        }
    }
}

const CENTRAL: Profile =
    Profile { label: "central", model: "WardView Central", ouis: &[PHILIPS_CARDIAC], ..SERVER };
const PUMP: Profile = Profile {
    label: "pump",
    maker: "Fluxline",
    model: "FluxPump 4",
    ouis: &[B_BRAUN, FRESENIUS_VIAL],
    ..BEDSIDE
};
const MONITOR: Profile = Profile {
    label: "mon",
    maker: "Wardlight",
    model: "WM120",
    ouis: &[PHILIPS_MONITORING, MINDRAY],
    ..BEDSIDE
};
const PRINTER: Profile = Profile {
    label: "prn",
    maker: "Inkwell",
    model: "LaserPage 410",
    ouis: &[HEWLETT_PACKARD],
    ..GADGET
};
const CAMERA: Profile =
    Profile { label: "cam", maker: "Sentry Optics", model: "DomeCam 31", ouis: &[AXIS], ..GADGET };
