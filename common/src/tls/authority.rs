//! A certificate authority that signs identities: for the demo, tests, benches and, later, enrolment.
//!
//! Keys are ECDSA P-256. The authority's key exists in memory only, unless its owner writes it.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::PrivateKeyDer;

use super::{Identity, Principal, TlsError, server_name};

/// Signs certificates of one purpose: sensors' ingest, or the nodes among each other.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A signed identity as PEM texts, ready to be written to three files.
#[derive(Clone)]
pub struct Issued {
    /// The leaf certificate.
    pub certificate: String,
    /// Its private key (PKCS #8).
    pub key: String,
    /// The authority's certificate.
    pub authority: String,
    identity: Identity,
}

impl Issued {
    /// The identity without the way over files.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity.clone()
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued(key withheld)")
    }
}

fn unfit(cause: rcgen::Error) -> TlsError {
    TlsError::Unfit(cause.to_string())
}

impl Authority {
    /// Makes a new authority with a fresh key.
    ///
    /// # Errors
    /// [`TlsError::Unfit`] where the machine has no randomness.
    pub fn new(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(unfit)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(unfit)?;
        Ok(Self { issuer })
    }

    /// Signs a new key for `principal`. A node may serve and dial, a sensor may only dial.
    ///
    /// # Errors
    /// [`TlsError::Unfit`] where the name cannot stand in a certificate.
    pub fn issue(&self, principal: &Principal) -> Result<Issued, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "wardmesh");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uri = principal.to_string().try_into().map_err(unfit)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        if matches!(principal, Principal::Node { .. }) {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
            let name = server_name(principal.cluster()).try_into().map_err(unfit)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        let key = KeyPair::generate().map_err(unfit)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(unfit)?;
        let private = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|cause| TlsError::Unfit(cause.to_owned()))?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            authority: self.issuer.pem(),
            identity: Identity::new(
                vec![certificate.der().clone()],
                private,
                vec![self.issuer.der().clone()],
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{SensorId, TenantId};

    #[test]
    fn issues_what_it_is_asked_for() {
        let authority = Authority::new("test").unwrap();
        let sensor = Principal::Sensor {
            cluster: "demo".into(),
            tenant: TenantId::default_tenant(),
            sensor: SensorId([5; 16]),
        };
        let node = Principal::Node { cluster: "demo".into(), node: 7 };
        for principal in [sensor, node] {
            let issued = authority.issue(&principal).unwrap();
            let identity = issued.identity();
            assert_eq!(identity.principal(), Ok(principal));
            identity.server(super::super::INGEST_ALPN).unwrap();
            identity.client(super::super::INGEST_ALPN).unwrap();
            assert!(!format!("{issued:?}").contains("PRIVATE"));
        }
    }
}
