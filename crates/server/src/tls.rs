//! The certificate and key that listeners speak TLS with, for REST and gRPC
//! alike. They can be changed while the server runs: connections that come from
//! then on are shown the new ones. Reads PEM; knows no listener.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crossbill_core::limits::TLS_FILE_BYTES_MAX;
use parking_lot::RwLock;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// What TLS needs of the server's side. Clones share it: what one replaces, all
/// show.
#[derive(Clone)]
pub struct Tls {
    config: Arc<rustls::ServerConfig>,
    shown: Arc<Shown>,
}

/// The certificate that is shown now, with its key.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

/// Why a certificate or key cannot be used. Never shows what is in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no certificate or key at all.
    #[error("{path} has over {TLS_FILE_BYTES_MAX} bytes, expected a PEM file")]
    TooLong {
        /// Which one.
        path: String,
    },
    /// No certificate was found.
    #[error("found no certificate, expected a chain in PEM, the server's own first")]
    NoCertificate,
    /// No key was found.
    #[error("found no private key, expected one in PEM without a password")]
    NoKey,
    /// The two do not go together, or are of a kind that is not known.
    #[error("the certificate and the key cannot be used: {0}")]
    Unusable(rustls::Error),
}

impl Tls {
    /// Reads the chain and the key from files.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read_tls_file(certificate)?, &read_tls_file(key)?)
    }

    /// Reads the chain and the key from PEM text.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(certified(certificate, key)?)));
        let provider = Arc::new(ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), shown })
    }

    /// Shows this chain from now on. Changes nothing where there is an error.
    pub fn replace(&self, certificate: &[u8], key: &[u8]) -> Result<(), TlsError> {
        *self.shown.0.write() = certified(certificate, key)?;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// A chain and the key of its first certificate.
fn certified(certificate: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::NoCertificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
    let made = CertifiedKey::from_der(chain, key, &ring::default_provider());
    made.map(Arc::new).map_err(TlsError::Unusable)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(hidden)")
    }
}

/// Reads a file of PEM, of bounded size.
pub fn read_tls_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let name = || path.display().to_string();
    let failed = |source| TlsError::File { path: name(), source };
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(TLS_FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    match text.len() as u64 > TLS_FILE_BYTES_MAX {
        true => Err(TlsError::TooLong { path: name() }),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_is_read_and_a_wrong_one_refused() {
        let ((certificate, key), (_, other)) = (pair(), pair());
        let read = |certificate: &str, key: &str| {
            Tls::from_pem(certificate.as_bytes(), key.as_bytes()).map_err(|e| e.to_string())
        };
        assert_eq!(format!("{:?}", read(&certificate, &key).unwrap()), "Tls(hidden)");
        assert!(read("", &key).unwrap_err().contains("no certificate"));
        assert!(read(&key, &key).unwrap_err().contains("no certificate"));
        assert!(read(&certificate, &certificate).unwrap_err().contains("no private key"));
        assert!(read(&certificate, &other).unwrap_err().contains("cannot be used"));
        let tls = read(&certificate, &key).unwrap();
        let shown = || Arc::clone(&tls.shown.0.read());
        let before = shown();
        assert!(tls.replace(certificate.as_bytes(), other.as_bytes()).is_err());
        assert!(Arc::ptr_eq(&before, &shown()));
        let (certificate, key) = pair();
        tls.clone().replace(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_ne!(before.cert, shown().cert);
        let error = Tls::from_files(Path::new("/nowhere"), Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /nowhere"), "{error}");
    }
}
