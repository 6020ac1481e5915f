//! What encrypts connections before the WebSocket begins: this relay with its own certificate, or a proxy in front.

mod certificate;
mod proxies;

use std::net::IpAddr;
use std::sync::Arc;

use hyper::HeaderMap;
use tokio_rustls::TlsAcceptor;

pub use self::certificate::CertificateError;
pub(crate) use self::certificate::{Certificate, CertificateFiles};
pub(crate) use self::proxies::Proxies;

/// Who speaks TLS with devices.
#[derive(Clone)]
pub(crate) enum Tls {
    /// Nobody: on this machine nothing has to, on a network the Noise link does its work.
    Off,
    /// This relay.
    Own(Arc<Certificate>),
    /// A proxy, which then connects from one of these addresses.
    Proxy(Arc<Proxies>),
}

impl Tls {
    /// What a new connection is accepted with, if by TLS.
    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        match self {
            Self::Own(certificate) => Some(certificate.acceptor()),
            Self::Off | Self::Proxy(_) => None,
        }
    }

    /// Whether a request came by TLS, at least as far as a proxy that is trusted.
    pub(crate) fn protects(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        match self {
            Self::Off => false,
            Self::Own(_) => true,
            Self::Proxy(proxies) => proxies.vouch(peer, headers),
        }
    }

    /// Whether plain connections may be served to devices on this machine: never where TLS is expected of them.
    pub(crate) const fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// Reads again what may have changed, and says what came of it.
    pub(crate) fn reload(&self) {
        let Self::Own(certificate) = self else {
            return tracing::info!("told to reload, and there is no certificate");
        };
        match certificate.reload() {
            Ok(()) => tracing::info!("the certificate was read anew; connections that stand keep theirs"),
            Err(error) => {
                tracing::error!(%error, "the certificate was not read anew; the one before goes on")
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
