//! Logging in at the start, and what to do where PostgreSQL does not let the relay in.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{OpenError, connect};

/// How the relay logs in for traffic and for expiry. As the owner of the tables it never does.
#[derive(Clone)]
pub struct Logins {
    pub(crate) app: Login,
    pub(crate) janitor: Login,
}

/// How to log in as one role.
#[derive(Clone)]
pub struct Login {
    pub(crate) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Login {
    /// Without TLS: to a server on this machine.
    ///
    /// # Errors
    /// [`rustls::Error`] as for [`Login::verified`].
    pub(crate) fn plain(mut config: Config) -> Result<Self, rustls::Error> {
        config.ssl_mode(SslMode::Disable);
        // Never asked; and if it were, it would trust nobody.
        Ok(Self { config, tls: connector(RootCertStore::empty())? })
    }

    /// By TLS alone, to a server whose certificate is signed by one of `roots` and names the host: what libpq calls
    /// `sslmode=verify-full`.
    ///
    /// # Errors
    /// [`rustls::Error`] in a build without TLS 1.3.
    pub(crate) fn verified(mut config: Config, roots: RootCertStore) -> Result<Self, rustls::Error> {
        config.ssl_mode(SslMode::Require);
        Ok(Self { config, tls: connector(roots)? })
    }
}

fn connector(roots: RootCertStore) -> Result<MakeRustlsConnect, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// One connection outside the pool.
///
/// # Errors
/// [`OpenError::Login`], which says what to do.
pub(super) async fn log_in(login: &Login) -> Result<Client, OpenError> {
    let config = &login.config;
    connect(login).await.map_err(|error| {
        let said = said(&error);
        OpenError::Login {
            role: config.get_user().unwrap_or_default().to_owned(),
            place: place(config),
            cure: certificate_cure(&error).unwrap_or_else(|| cure(error.code(), &said, config)),
            said,
        }
    })
}

/// Where the server is looked for, as an operator would name it.
fn place(config: &Config) -> String {
    let port = config.get_ports().first().copied().unwrap_or_default();
    match config.get_hosts().first() {
        Some(Host::Unix(folder)) => format!("{}, port {port}", folder.display()),
        Some(Host::Tcp(host)) => format!("{host}:{port}"),
        None => "no place at all".to_owned(),
    }
}

/// The server's or the system's own words: the error's names only the step that failed.
fn said(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // A String takes whatever is written.
        let _ = write!(said, ": {error}");
        source = error.source();
    }
    said
}

/// What to do about a certificate that was refused.
fn certificate_cure(error: &tokio_postgres::Error) -> Option<String> {
    let failed = error.source()?.downcast_ref::<io::Error>()?.get_ref()?;
    let rustls::Error::InvalidCertificate(problem) = failed.downcast_ref()? else { return None };
    let cure = match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "ca in [database] is not the CA that signed it: give the right file"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "Renew it: ssl_cert_file in postgresql.conf"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "host in [database] has to be a name in it"
        }
        _ => "Give the server another: ssl_cert_file in postgresql.conf",
    };
    Some(cure.to_owned())
}

fn cure(code: Option<&SqlState>, said: &str, config: &Config) -> String {
    let name = config.get_dbname().unwrap_or_default();
    let role = config.get_user().unwrap_or_default();
    let short = role.strip_prefix("av_").unwrap_or(role);
    match code {
        Some(&SqlState::INVALID_PASSWORD) => format!(
            "Give it the password of ALTER ROLE {role} PASSWORD '…', by {short}_password_file or AV_{}_PASSWORD",
            short.to_uppercase()
        ),
        Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => format!(
            "roles.sql makes the role; pg_hba.conf needs a line that lets it into database {name}, and with `peer` \
             pg_ident.conf one for the account that av-relay runs as"
        ),
        Some(&SqlState::INVALID_CATALOG_NAME) => {
            format!("roles.sql makes database {name}; or name the right one with name in [database]")
        }
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            format!("Run as its owner: GRANT CONNECT ON DATABASE {name} TO {role}")
        }
        Some(&SqlState::TOO_MANY_CONNECTIONS) => "Raise max_connections in postgresql.conf".to_owned(),
        Some(_) => "Its log says more".to_owned(),
        None if said.contains("password missing") => format!(
            "Set {short}_password_file in [database], or AV_{}_PASSWORD in the environment",
            short.to_uppercase()
        ),
        None if said.contains("does not support TLS") => "Say ssl = on in its postgresql.conf".to_owned(),
        None => "Is it running there? host and port in [database] say where it is looked for".to_owned(),
    }
}
