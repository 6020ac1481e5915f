//! Failures of the store. None of them is about a request: a request that asks for what is not there, or not
//! allowed, is a result.

/// The database did not do what it always does; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, a lost connection, or an error of the server.
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// No connection became free in time.
    #[error("no database connection: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// A row holds a value that this version did not write.
    #[error("unexpected value in {0}")]
    Unexpected(&'static str),
    /// The transaction that this was part of failed; the log says why.
    #[error("not written")]
    NotWritten,
    /// The operating system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why a database is not used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not answer.
    #[error("the database cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// It does not let the relay in, or is not there.
    #[error("PostgreSQL at {place} does not take {role}: {said}. {cure}")]
    Login {
        /// Who asked.
        role: String,
        /// Where.
        place: String,
        /// What the server said, or the system.
        said: String,
        /// What to do.
        cure: String,
    },
    /// This build has no TLS.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Migrations are missing.
    #[error(
        "the database has schema {found}, and this av-relay needs {known}: stop the older relays, then run \
         `av-relay migrate` with the same configuration"
    )]
    OlderSchema {
        /// The newest migration in the database.
        found: i32,
        /// The newest that this build has.
        known: i32,
    },
    /// It was written by a newer relay.
    #[error(
        "the database has schema {found}, and this av-relay knows {known}: use the newer av-relay that made it"
    )]
    NewerSchema {
        /// The newest migration in the database.
        found: i32,
        /// The newest that this build has.
        known: i32,
    },
    /// A migration did not apply.
    #[error("migration {name} failed: {source}")]
    Migration {
        /// Its file.
        name: &'static str,
        /// What the server said.
        source: tokio_postgres::Error,
    },
    /// A setting that "accepted means stored" rests on is off.
    #[error("PostgreSQL runs with {setting} = {value}; messages are only safe with {setting} = on")]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// Tenants could reach each other's rows.
    #[error("the database does not keep tenants apart, so the relay does not start:\n{}", .0.join("\n"))]
    NotIsolated(Vec<String>),
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}
