//! What protects connections: the listeners, the origin and TLS have to fit together.

use std::path::Path;

use rustls::pki_types::ServerName;

use super::ConfigError;
use super::file::{File, TlsBy};
use crate::tls::{CertificateFiles, Proxies};

/// Who speaks TLS with devices, as it is configured.
#[derive(Debug)]
pub(crate) enum TlsConfig {
    Off,
    Own(CertificateFiles),
    Proxy(Proxies),
}

impl TlsConfig {
    pub(super) fn of(file: &File, folder: &Path) -> Result<Self, ConfigError> {
        let File { listen, origin, tls, certificate, key, trusted_proxies, .. } = file;
        if listen.is_empty() {
            return Err(ConfigError::NoListener);
        }
        if *tls != TlsBy::Own && (certificate.is_some() || key.is_some()) {
            return Err(ConfigError::Unused { what: "certificate and key are", tls: "own" });
        }
        if *tls != TlsBy::Proxy && !trusted_proxies.is_empty() {
            return Err(ConfigError::Unused { what: "trusted_proxies is", tls: "proxy" });
        }
        if *tls != TlsBy::Off && origin.is_plain() {
            return Err(ConfigError::PlainOrigin(origin.to_string()));
        }
        match tls {
            TlsBy::Off if !origin.is_plain() => return Err(ConfigError::NoTls(origin.to_string())),
            TlsBy::Off => {}
            TlsBy::Own => {
                let (Some(certificate), Some(key)) = (certificate, key) else {
                    return Err(ConfigError::NoCertificate);
                };
                let host = ServerName::try_from(origin.host().to_owned())
                    .map_err(|_| ConfigError::NoHost(origin.to_string()))?;
                return Ok(Self::Own(CertificateFiles {
                    certificate: folder.join(certificate),
                    key: folder.join(key),
                    host,
                }));
            }
            TlsBy::Proxy if trusted_proxies.is_empty() => return Err(ConfigError::NoProxy),
            TlsBy::Proxy => return Ok(Self::Proxy(Proxies::new(trusted_proxies.clone()))),
        }
        match listen.iter().find(|address| !address.ip().is_loopback()) {
            Some(address) if origin.is_loopback() => {
                Err(ConfigError::Unprotected { address: *address, origin: origin.to_string() })
            }
            _ => Ok(Self::Off),
        }
    }
}
