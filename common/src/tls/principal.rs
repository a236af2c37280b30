//! SPIFFE-style names: who a certificate's holder is.
//!
//! `spiffe://<cluster>/tenant/<tenant>/sensor/<uuid>` and `spiffe://<cluster>/node/<id>` as the only
//! URI among the subject alternative names (SPIFFE X.509-SVID section 2).

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::id::{NodeId, SensorId, TenantId};

/// The holder of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// An aggregator replica.
    Node {
        /// The cluster's name: the SPIFFE trust domain.
        cluster: String,
        /// Its id.
        node: NodeId,
    },
    /// A capture agent.
    Sensor {
        /// The cluster's name.
        cluster: String,
        /// The tenant that enrolled it.
        tenant: TenantId,
        /// Its id.
        sensor: SensorId,
    },
}

/// Why a certificate names nobody that we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPrincipal {
    /// There is no certificate.
    #[error("no certificate was presented")]
    NoCertificate,
    /// It cannot be read.
    #[error("the certificate cannot be read as X.509")]
    Unreadable,
    /// It has no URI name, or several.
    #[error("the certificate has {0} URI names where one SPIFFE name is due")]
    Names(usize),
    /// The URI is of another form.
    #[error(
        "the certificate's URI name is neither spiffe://<cluster>/node/<id> nor spiffe://<cluster>/tenant/<tenant>/sensor/<uuid>"
    )]
    Form,
}

impl Principal {
    /// The name in a certificate; whether the certificate is to be trusted is the handshake's part.
    ///
    /// # Errors
    /// [`NotAPrincipal`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, NotAPrincipal> {
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|_| NotAPrincipal::Unreadable)?;
        let names =
            certificate.subject_alternative_name().map_err(|_| NotAPrincipal::Unreadable)?;
        let names = names.map_or(&[][..], |extension| &extension.value.general_names);
        let uris: Vec<&str> = names
            .iter()
            .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
            .collect();
        match uris.as_slice() {
            [uri] => uri.parse(),
            several => Err(NotAPrincipal::Names(several.len())),
        }
    }

    /// The cluster that it belongs to.
    #[must_use]
    pub fn cluster(&self) -> &str {
        match self {
            Self::Node { cluster, .. } | Self::Sensor { cluster, .. } => cluster,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { cluster, node } => write!(f, "spiffe://{cluster}/node/{node}"),
            Self::Sensor { cluster, tenant, sensor } => {
                write!(f, "spiffe://{cluster}/tenant/{tenant}/sensor/{sensor}")
            }
        }
    }
}

impl FromStr for Principal {
    type Err = NotAPrincipal;

    fn from_str(uri: &str) -> Result<Self, NotAPrincipal> {
        let path = uri.strip_prefix("spiffe://").ok_or(NotAPrincipal::Form)?;
        let segments: Vec<&str> = path.split('/').collect();
        let form = |_| NotAPrincipal::Form;
        // A cluster's name has the grammar of a tenant's: one DNS label.
        let cluster = segments[0].parse::<TenantId>().map_err(form)?.to_string();
        match segments[1..] {
            ["node", node] => {
                Ok(Self::Node { cluster, node: node.parse().map_err(|_| NotAPrincipal::Form)? })
            }
            ["tenant", tenant, "sensor", sensor] => Ok(Self::Sensor {
                cluster,
                tenant: tenant.parse().map_err(form)?,
                sensor: sensor.parse().map_err(form)?,
            }),
            _ => Err(NotAPrincipal::Form),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let sensor = SensorId([0x11; 16]);
        let uris = [
            "spiffe://demo/node/3".to_owned(),
            format!("spiffe://demo/tenant/default/sensor/{sensor}"),
        ];
        for uri in uris {
            assert_eq!(uri.parse::<Principal>().map(|p| p.to_string()), Ok(uri));
        }
    }

    #[test]
    fn refuses_other_forms() {
        for uri in [
            "",
            "spiffe://",
            "https://demo/node/3",
            "spiffe://demo/node/x",
            "spiffe://demo/node/3/",
            "spiffe://DEMO/node/3",
            "spiffe://demo/tenant/default/sensor/3",
            "spiffe://demo/tenant/default/sensor/11111111-1111-1111-1111-111111111111/node/1",
        ] {
            assert_eq!(uri.parse::<Principal>(), Err(NotAPrincipal::Form), "{uri}");
        }
    }
}
