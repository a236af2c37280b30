//! Who speaks: certificates with SPIFFE-style names, and the QUIC configurations that demand them.
//!
//! TLS 1.3 only. No resumption and no 0-RTT anywhere: a resumed session skips the check of the
//! client's certificate, so that a revoked sensor would get back in. A server is verified by its
//! chain and by the fixed name of its cluster ([`server_name`]), never by the address that was dialled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

pub mod authority;
mod principal;

pub use principal::{NotAPrincipal, Principal};

/// ALPN (RFC 7301) of sensors' sessions.
pub const INGEST_ALPN: &[u8] = b"wardmesh-ingest/1";

/// ALPN of the nodes among each other.
pub const RAFT_ALPN: &[u8] = b"wardmesh-raft/1";

/// The name that every node's certificate carries as a DNS name beside its SPIFFE URI, so that a
/// client checks "a node of my cluster" wherever that node happens to run.
#[must_use]
pub fn server_name(cluster: &str) -> String {
    format!("node.{cluster}.wardmesh.internal")
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{path}: {what} expected in PEM: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// Why it is not.
        cause: rustls::pki_types::pem::Error,
    },
    /// There is nothing in the file that was looked for.
    #[error("{path}: holds no {what} in PEM")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// The parts do not fit each other.
    #[error("the certificate, key and authority do not fit each other: {0}")]
    Unfit(String),
}

/// What one side presents, and whom it trusts.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    trusted: Arc<RootCertStore>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            trusted: Arc::clone(&self.trusted),
        }
    }
}

/// The three PEM files of an identity.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key (PKCS #8, SEC 1 or PKCS #1).
    pub key: PathBuf,
    /// The authorities whose certificates are accepted, one or several.
    pub authority: PathBuf,
}

impl Identity {
    /// Reads the three files.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(files: &IdentityFiles) -> Result<Self, TlsError> {
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|cause| TlsError::File {
            path: files.key.clone(),
            what: "a private key",
            cause,
        })?;
        Self::new(chain, key, certificates(&files.authority)?)
    }

    /// Puts an identity together from DER.
    ///
    /// # Errors
    /// [`TlsError::Unfit`] where an authority is no certificate.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TlsError> {
        let mut trusted = RootCertStore::empty();
        for authority in authorities {
            trusted.add(authority).map_err(|cause| TlsError::Unfit(cause.to_string()))?;
        }
        Ok(Self { chain, key, trusted: Arc::new(trusted) })
    }

    /// Who this identity says it is.
    ///
    /// # Errors
    /// [`NotAPrincipal`] where its leaf has no SPIFFE name of ours.
    pub fn principal(&self) -> Result<Principal, NotAPrincipal> {
        self.chain.first().map_or(Err(NotAPrincipal::NoCertificate), Principal::of)
    }

    /// A server that demands a client certificate of its authorities.
    ///
    /// # Errors
    /// [`TlsError::Unfit`].
    pub fn server(&self, alpn: &[u8]) -> Result<QuicServerConfig, TlsError> {
        let unfit = |cause: &dyn std::fmt::Display| TlsError::Unfit(cause.to_string());
        let clients = WebPkiClientVerifier::builder_with_provider(
            Arc::clone(&self.trusted),
            Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        )
        .build()
        .map_err(|cause| unfit(&cause))?;
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|cause| unfit(&cause))?
        .with_client_cert_verifier(clients)
        .with_single_cert(self.chain.clone(), self.key.clone_key())
        .map_err(|cause| unfit(&cause))?;
        config.alpn_protocols = vec![alpn.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        QuicServerConfig::try_from(config).map_err(|cause| unfit(&cause))
    }

    /// A client that presents its certificate and accepts servers of its authorities.
    ///
    /// # Errors
    /// [`TlsError::Unfit`].
    pub fn client(&self, alpn: &[u8]) -> Result<QuicClientConfig, TlsError> {
        let unfit = |cause: &dyn std::fmt::Display| TlsError::Unfit(cause.to_string());
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|cause| unfit(&cause))?
        .with_root_certificates(Arc::clone(&self.trusted))
        .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
        .map_err(|cause| unfit(&cause))?;
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_early_data = false;
        QuicClientConfig::try_from(config).map_err(|cause| unfit(&cause))
    }
}

/// Who is at the other end of a connection: the name in its certificate, which the handshake checked.
///
/// # Errors
/// [`NotAPrincipal`] where it presented none, or one without a name of ours.
pub fn peer(connection: &quinn::Connection) -> Result<Principal, NotAPrincipal> {
    let chain = connection.peer_identity().ok_or(NotAPrincipal::NoCertificate)?;
    let chain = chain
        .downcast::<Vec<CertificateDer<'static>>>()
        .map_err(|_| NotAPrincipal::NoCertificate)?;
    chain.first().map_or(Err(NotAPrincipal::NoCertificate), Principal::of)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let what = "a certificate";
    let file = |cause| TlsError::File { path: path.to_owned(), what, cause };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(file)?
        .collect::<Result<_, _>>()
        .map_err(file)?;
    if certificates.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned(), what });
    }
    Ok(certificates)
}
