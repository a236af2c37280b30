//! Devices that more than one site sees: the stories that cross-site rules must tell apart.
//!
//! | device | what it does | where and when (per mille of the capture) |
//! |---|---|---|
//! | `us-portable-1` | **moves**: one device, never at two sites at once | a: 0-400, b: 600-1000 |
//! | `pump-clone-1` | **concurrent**: two devices with one MAC address | b: 0-1000, c: 0-1000 |
//!
//! Their MAC addresses are fixed for any seed; the sites' captures must share start and length.

use wardmesh_common::net::MacAddress;

use super::role::Role;

/// One row of the table.
pub(super) struct Visitor {
    /// Its host name at every site.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) role: Role,
    /// Its MAC address at every site.
    pub(super) mac: MacAddress,
    stays: &'static [(&'static str, (u32, u32))],
}

static VISITORS: &[Visitor] = &[
    Visitor {
        name: "us-portable-1",
        role: Role::Ultrasound,
        mac: MacAddress([0x00, 0x0f, 0x14, 0x5a, 0x01, 0x01]),
        stays: &[("a", (0, 400)), ("b", (600, 1_000))],
    },
    Visitor {
        name: "pump-clone-1",
        role: Role::Pump,
        mac: MacAddress([0x00, 0x03, 0xb1, 0x5a, 0x02, 0x02]),
        stays: &[("b", (0, 1_000)), ("c", (0, 1_000))],
    },
];

/// Who visits `site`, and when.
pub(super) fn visitors(site: &str) -> impl Iterator<Item = (&'static Visitor, (u32, u32))> {
    VISITORS.iter().flat_map(move |visitor| {
        let here = visitor.stays.iter().filter(move |(name, _)| *name == site);
        here.map(move |(_, stay)| (visitor, *stay))
    })
}
