//! TLS to a relay: 1.3 alone, with a certificate for the origin's host by a CA that this computer trusts.

use std::io;
use std::sync::Arc;

use av_proto::wire::Origin;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

use super::TransportError;

/// Speaks TLS on a fresh connection.
pub(super) async fn connect(
    origin: &Origin,
    stream: TcpStream,
    roots: RootCertStore,
) -> Result<TlsStream<TcpStream>, TransportError> {
    let host = ServerName::try_from(origin.host().to_owned())
        .map_err(|_| TransportError::Address(origin.to_string()))?;
    connector(roots)?.connect(host, stream).await.map_err(|error| failed(origin, error))
}

/// Whom this computer trusts; read for each connection, so that a CA counts once it is installed.
pub(super) fn roots() -> Result<RootCertStore, TransportError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map_or_else(|| "there is none".to_owned(), ToString::to_string);
        return Err(TransportError::NoCa(why));
    }
    Ok(roots)
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, TransportError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| TransportError::NoCa(error.to_string()))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn failed(origin: &Origin, error: io::Error) -> TransportError {
    let origin = origin.to_string();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(problem)) => {
            TransportError::Certificate { origin, problem: explain(problem) }
        }
        _ => TransportError::NotARelay { origin, detail: error.to_string() },
    }
}

/// What a person can make of it.
fn explain(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no CA that this computer trusts has signed it; install the CA, or name its file in SSL_CERT_FILE"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired; the relay's operator has to renew it, if this computer's clock is right"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its time has not begun; is this computer's clock right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is another host's; is the origin spelled right?".to_owned()
        }
        other => other.to_string(),
    }
}
