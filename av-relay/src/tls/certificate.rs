//! The relay's certificate and key: two PEM files, checked as devices check them, and read anew without a restart.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::version::TLS13;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use x509_cert::der::Decode;

/// Where they are, and whom the certificate has to name.
#[derive(Clone, Debug)]
pub(crate) struct CertificateFiles {
    /// The relay's certificate, then those between it and its CA.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The origin's host: what devices look for in the certificate.
    pub(crate) host: ServerName<'static>,
}

/// A certificate that can be put in place of another while connections stand.
pub(crate) struct Certificate {
    files: CertificateFiles,
    current: watch::Sender<TlsAcceptor>,
}

/// Why a certificate is not used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Everybody on this machine can read the key.
    #[error("{} can be read by everybody: take it from them with `chmod o= {}`", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// There is no certificate in the file.
    #[error(
        "{} holds no certificate: it is PEM, the relay's certificate first, then those between it and its CA",
        .0.display()
    )]
    NoCertificate(PathBuf),
    /// There is no key in the file.
    #[error("{} holds no private key: it is PEM, PKCS #8, SEC 1 or PKCS #1, without a passphrase", .0.display())]
    NoKey(PathBuf),
    /// They do not belong together.
    #[error("the key in {} is not the one of the certificate in {}: give the two that came together", .key.display(), .certificate.display())]
    OtherKey {
        /// The key's file.
        key: PathBuf,
        /// The certificate's.
        certificate: PathBuf,
    },
    /// Devices would refuse it.
    #[error("the certificate in {} does not name {host}, the origin's host, so devices would refuse it: get one that does", .path.display())]
    OtherHost {
        /// The file.
        path: PathBuf,
        /// The origin's host.
        host: String,
    },
    /// Devices would refuse it.
    #[error("the certificate in {} is past its time or before it, so devices would refuse it: renew it", .0.display())]
    OtherTime(PathBuf),
    /// Something else.
    #[error("the certificate in {} cannot be used: {source}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Certificate {
    /// Reads the files.
    pub(crate) fn open(files: CertificateFiles) -> Result<Self, CertificateError> {
        let current = watch::Sender::new(files.acceptor(SystemTime::now())?);
        Ok(Self { files, current })
    }

    /// What connections are accepted with now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.current.borrow().clone()
    }

    /// Reads the files again. With an error nothing has changed.
    pub(crate) fn reload(&self) -> Result<(), CertificateError> {
        self.current.send_replace(self.files.acceptor(SystemTime::now())?);
        Ok(())
    }
}

impl CertificateFiles {
    pub(super) fn acceptor(&self, now: SystemTime) -> Result<TlsAcceptor, CertificateError> {
        let path = || self.certificate.clone();
        let unusable = |source| CertificateError::Unusable { path: path(), source };
        let chain = self.chain()?;
        let leaf = chain.first().ok_or_else(|| CertificateError::NoCertificate(path()))?;
        let parsed = ParsedCertificate::try_from(leaf).map_err(unusable)?;
        verify_server_name(&parsed, &self.host).map_err(|_| CertificateError::OtherHost {
            path: path(),
            host: self.host.to_str().into_owned(),
        })?;
        if !is_in_its_time(leaf, now) {
            return Err(CertificateError::OtherTime(path()));
        }
        // TLS 1.3 alone (PROTOCOL.md section 9).
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, self.key()?)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    CertificateError::OtherKey { key: self.key.clone(), certificate: path() }
                }
                error => unusable(error),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A device's connection stands for days: what resuming would save it, its session would cost in memory.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let text = read(&self.certificate)?;
        let chain: Result<_, _> = CertificateDer::pem_slice_iter(&text).collect();
        chain.map_err(|_| CertificateError::NoCertificate(self.certificate.clone()))
    }

    /// A group may read it: that is how services are given keys.
    fn key(&self) -> Result<PrivateKeyDer<'static>, CertificateError> {
        let unreadable = |source| CertificateError::File { path: self.key.clone(), source };
        if fs::metadata(&self.key).map_err(unreadable)?.permissions().mode() & 0o007 != 0 {
            return Err(CertificateError::Exposed(self.key.clone()));
        }
        let text = zeroize::Zeroizing::new(read(&self.key)?);
        PrivateKeyDer::from_pem_slice(&text).map_err(|_| CertificateError::NoKey(self.key.clone()))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

fn is_in_its_time(certificate: &CertificateDer<'_>, now: SystemTime) -> bool {
    x509_cert::Certificate::from_der(certificate).is_ok_and(|certificate| {
        let validity = certificate.tbs_certificate.validity;
        (validity.not_before.to_system_time()..=validity.not_after.to_system_time()).contains(&now)
    })
}
