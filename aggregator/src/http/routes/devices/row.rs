//! A device as a list shows it: what tells it from others, within a bound of bytes.

use std::cmp::Reverse;
use std::net::IpAddr;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::form::{displayed, displayed_all, moment};
use crate::state::devices::Device;
use crate::state::evidence::Evidence;
use wardmesh_common::id::DeviceId;
use wardmesh_common::net::MacAddress;
use wardmesh_common::time::Timestamp;

/// Bytes of a row: a page of 1,000 devices stays below half a megabyte. A row is longer only where one
/// value of each kind is longer than that already.
pub(super) const ROW_LENGTH_MAX: usize = 400;

/// Bytes of a row whose texts are null and lists empty, with ten digits of events.
const BARE_LENGTH: usize = 266;

/// A device in a list, in short: the device itself says the rest. What nobody said of it is null or
/// empty.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceRow<'a> {
    /// Its id.
    #[serde(serialize_with = "displayed")]
    #[schema(value_type = String)]
    id: DeviceId,
    /// What kind of device it is.
    class: Option<&'a str>,
    /// Who made it.
    vendor: Option<&'a str>,
    /// The maker's name of the model.
    model: Option<&'a str>,
    /// The sites where it was seen, in the order in which they were learned.
    sites: Vec<&'a str>,
    /// Its MAC addresses.
    #[serde(serialize_with = "displayed_all")]
    #[schema(value_type = Vec<String>)]
    macs: Option<MacAddress>,
    /// The IP addresses that it was seen under, the latest first.
    #[serde(serialize_with = "displayed_all")]
    #[schema(value_type = Vec<String>)]
    ips: Vec<IpAddr>,
    /// Its host names.
    hostnames: Vec<&'a str>,
    /// Its DICOM application entity titles.
    ae_titles: Vec<&'a str>,
    /// There are more sites, addresses or names than stand here.
    more: bool,
    /// More addresses were seen behind its MAC address than a device has.
    router: bool,
    /// The earliest event of the whole fleet.
    #[serde(serialize_with = "moment")]
    #[schema(value_type = String)]
    first_seen: Timestamp,
    /// The latest event.
    #[serde(serialize_with = "moment")]
    #[schema(value_type = String)]
    last_seen: Timestamp,
    /// Events about it, those that a second sensor saw too counted once.
    events: u64,
}

impl<'a> DeviceRow<'a> {
    pub(super) fn of(device: &'a Device) -> Self {
        let value = |evidence: Option<&'a Evidence>| evidence.map(|known| known.value.as_str());
        let mut addresses: Vec<_> = device.ips.iter().collect();
        addresses.sort_by_key(|address| Reverse(address.last_seen));
        let mut row = Self {
            id: device.id,
            class: value(device.class()),
            vendor: value(device.vendor()),
            model: value(device.model()),
            sites: device.sites.iter().map(|presence| presence.site.as_str()).collect(),
            macs: device.mac(),
            ips: addresses.into_iter().map(|address| address.ip).collect(),
            hostnames: device.hostnames(),
            ae_titles: device.ae_titles(),
            more: false,
            router: device.router,
            first_seen: device.first_seen,
            last_seen: device.last_seen,
            events: device.events,
        };
        row.cut();
        row
    }

    /// Leaves out the last of the longest list until the row fits; one of each stays.
    fn cut(&mut self) {
        let mut length = self.length();
        while length > ROW_LENGTH_MAX {
            let lists =
                [self.sites.len(), self.ips.len(), self.hostnames.len(), self.ae_titles.len()];
            let longest = lists.iter().enumerate().max_by_key(|(_, count)| **count);
            let Some((at, 2..)) = longest.map(|(at, count)| (at, *count)) else { return };
            let left_out = match at {
                0 => self.sites.pop().map(quoted),
                1 => self.ips.pop().map(shown),
                2 => self.hostnames.pop().map(quoted),
                _ => self.ae_titles.pop().map(quoted),
            };
            self.more = true;
            length -= left_out.unwrap_or(length);
        }
    }

    /// Bytes of the row, or a few more.
    fn length(&self) -> usize {
        let words = [self.class, self.vendor, self.model].into_iter().flatten();
        let lists = [&self.sites, &self.hostnames, &self.ae_titles].into_iter().flatten().copied();
        let texts: usize = words.chain(lists).map(quoted).sum();
        let macs = self.macs.map_or(0, |_| "\"00:00:00:00:00:00\"".len());
        BARE_LENGTH + texts + macs + self.ips.iter().copied().map(shown).sum::<usize>()
    }
}

/// A text in quotes, with a comma; what has to be escaped takes more.
fn quoted(text: &str) -> usize {
    let escaped =
        |byte: u8| if byte < b' ' { 5 } else { usize::from(matches!(byte, b'"' | b'\\')) };
    text.len() + text.bytes().map(escaped).sum::<usize>() + 3
}

/// An address in quotes, with a comma, at most.
const fn shown(ip: IpAddr) -> usize {
    match ip {
        IpAddr::V4(_) => "\"255.255.255.255\",".len(),
        IpAddr::V6(_) => "\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\",".len(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::state::testkit::{Fleet, from_ip, says, sighting};

    fn written(device: &Device) -> String {
        serde_json::to_string(&DeviceRow::of(device)).unwrap()
    }

    #[test]
    fn a_bare_row_is_as_long_as_it_is_taken_for() {
        let mut fleet = Fleet::at(&["north"]);
        let mut feed = fleet.feed(1);
        fleet.hear(&mut feed, &[sighting("00:09:fb:00:00:01", 5)]);
        let mut device = fleet.device("00:09:fb:00:00:01").clone();
        (device.evidence, device.sites, device.events) = (Vec::new(), Vec::new(), 1_234_567_890);
        let row = DeviceRow { macs: None, ..DeviceRow::of(&device) };
        assert_eq!(serde_json::to_string(&row).unwrap().len(), BARE_LENGTH);
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_said() {
        let mut fleet = Fleet::at(&["north"]);
        let (mut feed, station) = (fleet.feed(1), "00:09:fb:00:00:01");
        fleet.hear(&mut feed, &[from_ip(sighting(station, 5), [10, 0, 0, 1])]);
        let short: serde_json::Value =
            serde_json::from_str(&written(fleet.device(station))).unwrap();
        assert_eq!((&short["ips"][0], &short["more"]), (&"10.0.0.1".into(), &false.into()));
        for number in 2..30 {
            let name = format!("dhcp.hostname=\"station\" number {number} of many");
            let event = from_ip(says(station, 5 + number, &[&name]), [10, 0, 0, number as u8]);
            fleet.hear(&mut feed, &[event]);
        }
        let device = fleet.device(station);
        let (text, all) = (written(device), (device.ips.len(), device.hostnames().len()));
        assert!(text.len() <= ROW_LENGTH_MAX && text.len() > ROW_LENGTH_MAX - 80, "{text}");
        let row: serde_json::Value = serde_json::from_str(&text).unwrap();
        let shown = [&row["ips"], &row["hostnames"]].map(|list| list.as_array().unwrap().len());
        assert!(shown[0] < all.0 && shown[1] < all.1 && shown.iter().all(|count| *count > 0));
        assert_eq!((&row["ips"][0], &row["more"]), (&"10.0.0.29".into(), &true.into()));
    }
}
