//! The registry's commands: facilities, sensors, their starts, and batches that are passed over.

use wardmesh_common::id::SensorId;

use super::State;
use super::command::{DefineSite, Enrol, OpenEpoch, Skip};
use super::dedup::{Epochs, Passing, recall, remember};
use super::receipt::{OpenedEpoch, Receipt};
use super::sensors::{Sensor, clipped};
use super::sites::Site;

/// Sites of all tenants: the largest hospital groups have a few hundred.
pub(super) const SITES_MAX: usize = 4_096;

/// Sensors of all tenants.
pub(super) const SENSORS_MAX: usize = 16_384;

fn refused(words: String) -> Receipt {
    Receipt::Refused(words)
}

impl State {
    pub(super) fn define_site(&mut self, define: &DefineSite) -> Receipt {
        let key = (define.tenant.clone(), define.site.clone());
        let title = clipped(&define.title);
        if let Some(site) = self.sites.get(&key) {
            if site.title != title
                && let Some(site) = self.sites.get_mut(&key)
            {
                site.title = title.to_owned();
            }
            return Receipt::Accepted;
        }
        if self.sites.len() >= SITES_MAX {
            return refused(format!("there are {SITES_MAX} sites already, as many as may be"));
        }
        self.sites.insert(Site {
            tenant: define.tenant.clone(),
            id: define.site.clone(),
            title: title.to_owned(),
            defined_at: self.core.at,
            sensors: 0,
            devices: 0,
            events: 0,
            merged: 0,
            last_event: None,
            last_received: None,
        });
        Receipt::Accepted
    }

    pub(super) fn enrol(&mut self, enrol: &Enrol) -> Receipt {
        let (site, sensor) = (&enrol.site, enrol.sensor);
        let site_key = (enrol.tenant.clone(), enrol.site.clone());
        if self.sites.get(&site_key).is_none() {
            return refused(format!(
                "tenant {} has no site {site}: define it first, then enrol sensor {sensor}",
                enrol.tenant
            ));
        }
        if self.sensors.get(&sensor).is_some() {
            return self.enrol_again(enrol);
        }
        if self.sensors.len() >= SENSORS_MAX {
            return refused(format!("there are {SENSORS_MAX} sensors already, as many as may be"));
        }
        self.sensors.insert(self.enrolled(enrol));
        if let Some(site) = self.sites.get_mut(&site_key) {
            site.sensors = site.sensors.saturating_add(1);
        }
        Receipt::Accepted
    }

    fn enrolled(&self, enrol: &Enrol) -> Sensor {
        Sensor {
            id: enrol.sensor,
            tenant: enrol.tenant.clone(),
            site: enrol.site.clone(),
            name: clipped(&enrol.name).to_owned(),
            enrolled_at: self.core.at,
            revoked_at: None,
            version: String::new(),
            interfaces: Vec::new(),
            epochs: Epochs::default(),
            first_event: None,
            last_event: None,
            last_received: None,
            batches: 0,
            events: 0,
            duplicates: 0,
            merged: 0,
            unattributed: 0,
            rejected: Default::default(),
            lost_events: 0,
            health: Default::default(),
            clock_offset: 0,
            time_suspects: 0,
            forked: None,
            cloned: None,
            clock_off_since: None,
            clock_fault: None,
        }
    }

    fn enrol_again(&mut self, enrol: &Enrol) -> Receipt {
        let Some(sensor) = self.sensors.get_mut(&enrol.sensor) else { return Receipt::Done };
        let id = enrol.sensor;
        if sensor.revoked_at.is_some() {
            return refused(format!("sensor {id} was revoked: enrol a new one in its place"));
        }
        if sensor.tenant != enrol.tenant {
            return refused(format!(
                "sensor {id} is enrolled with another tenant: revoke it there"
            ));
        }
        if sensor.site != enrol.site {
            return refused(format!(
                "sensor {id} is enrolled at site {}: what it saw stays there, so revoke it and \
                 enrol a new one at {}",
                sensor.site, enrol.site
            ));
        }
        sensor.name = clipped(&enrol.name).to_owned();
        Receipt::Accepted
    }

    pub(super) fn revoke(&mut self, id: SensorId) -> Receipt {
        let at = self.core.at;
        match self.sensors.get_mut(&id) {
            None => refused(format!("sensor {id} is not enrolled")),
            Some(sensor) => {
                sensor.revoked_at.get_or_insert(at);
                Receipt::Accepted
            }
        }
    }

    pub(super) fn open_epoch(&mut self, open: &OpenEpoch) -> Receipt {
        let (id, at) = (open.sensor, self.core.at);
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return refused(format!("sensor {id} is not enrolled: enrol it first"));
        };
        if sensor.revoked_at.is_some() {
            return refused(format!("sensor {id} was revoked"));
        }
        if sensor.tenant != open.tenant {
            return refused(format!("sensor {id} was enrolled by another tenant"));
        }
        recall(&self.past, sensor, open);
        let (older, past) = sensor.epochs.open(open);
        remember(&mut self.past, sensor, &past);
        if let Some(older) = older {
            sensor.note_fork((older.epoch, older.tail), at, None);
        }
        sensor.version = clipped(&open.version).to_owned();
        let (site, watermarks) = (sensor.site.clone(), sensor.epochs.watermarks());
        Receipt::EpochOpened(OpenedEpoch { site, watermarks })
    }

    pub(super) fn skip(&mut self, skip: &Skip) -> Receipt {
        let id = skip.sensor;
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return refused(format!("sensor {id} is not enrolled"));
        };
        match sensor.epochs.passing(skip.epoch, skip.lane, skip.seq) {
            Passing::Closed => {
                refused(format!("the start {:016x} of sensor {id} is not open", skip.epoch))
            }
            Passing::Missing(due) => {
                refused(format!("batch {due} of lane {} is due before {}", skip.lane, skip.seq))
            }
            // The sensor is told that it is rejected, as the rest of that start is: else its lane would
            // wait for this one batch for ever.
            Passing::Refused => {
                sensor.reject(&skip.reason);
                Receipt::Accepted
            }
            Passing::Passed => Receipt::Accepted,
            Passing::Next => {
                sensor.epochs.pass_over(skip.epoch, skip.lane, skip.seq, skip.chain);
                sensor.lost_events = sensor.lost_events.saturating_add(u64::from(skip.events));
                sensor.reject(&skip.reason);
                Receipt::Accepted
            }
        }
    }
}
