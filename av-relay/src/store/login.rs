//! Logging in at the start, and what to do where PostgreSQL does not let the relay in.

use std::error::Error as _;
use std::fmt::Write as _;

use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

use super::{OpenError, connect};

/// How the relay logs in for traffic and for expiry. As the owner of the tables it never does.
#[derive(Clone, Debug)]
pub struct Logins {
    pub(crate) app: Config,
    pub(crate) janitor: Config,
}

/// One connection outside the pool.
///
/// # Errors
/// [`OpenError::Login`], which says what to do.
pub(super) async fn log_in(config: &Config) -> Result<Client, OpenError> {
    connect(config).await.map_err(|error| {
        let said = said(&error);
        OpenError::Login {
            role: config.get_user().unwrap_or_default().to_owned(),
            place: place(config),
            cure: cure(error.code(), &said, config),
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
        None => "Is it running there? host and port in [database] say where it is looked for".to_owned(),
    }
}
