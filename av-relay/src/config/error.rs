//! What is wrong with a configuration, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A configuration that the relay does not start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error(
        "there is no {}: name the configuration with --config FILE; av-relay/relay.toml is one to copy",
        .0.display()
    )]
    Missing(PathBuf),
    /// A file is there, or not, and cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no TOML, or not with these keys; the source shows the line.
    #[error("{}: {source}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// No address to listen on.
    #[error(
        "listen is empty: nobody could reach the relay. Name an address, as in listen = [\"127.0.0.1:7460\"]"
    )]
    NoListener,
    /// Nothing would protect what goes over the network.
    #[error(
        "listen has {address}, which others on the network reach, and nothing would protect what they send: with \
         origin = \"{origin}\" devices connect in the open, from this machine only. Listen on 127.0.0.1, or say in \
         origin what devices on the network call this relay: as in wss://relay.example with tls = \"own\", or as in \
         ws://192.168.1.5:7460, and they use the Noise link"
    )]
    Unprotected {
        /// The address.
        address: SocketAddr,
        /// The origin.
        origin: String,
    },
    /// An origin that promises TLS.
    #[error(
        "origin = \"{0}\" promises TLS, and tls is \"off\": say tls = \"own\" with certificate and key, or tls = \"proxy\" \
         with trusted_proxies; or ws://HOST:PORT, and the Noise link protects what goes there"
    )]
    NoTls(String),
    /// An origin under which devices come without the TLS that is there.
    #[error(
        "with origin = \"{0}\" devices come without TLS, and tls is on: say wss://HOST[:PORT], or tls = \"off\""
    )]
    PlainOrigin(String),
    /// An origin that no certificate can name.
    #[error("no certificate can name the host in origin = \"{0}\": it is a DNS name, or an address")]
    NoHost(String),
    /// TLS without a certificate.
    #[error("tls = \"own\" needs two PEM files: certificate = \"FILE\" and key = \"FILE\"")]
    NoCertificate,
    /// A proxy that nobody is.
    #[error(
        "tls = \"proxy\" needs the networks that the proxies connect from, as in trusted_proxies = [\"127.0.0.1/32\"]"
    )]
    NoProxy,
    /// What would do nothing.
    #[error("{what} there, and would do nothing: say tls = \"{tls}\", or leave them out")]
    Unused {
        /// The keys.
        what: &'static str,
        /// With which they would do something.
        tls: &'static str,
    },
    /// The database is elsewhere.
    #[error(
        "[database] host = \"{0}\" is not on this machine, and the connection would cross the network in the open: \
         name the file of its CA with ca, or the folder of PostgreSQL's socket, or a loopback address"
    )]
    RemoteDatabase(String),
    /// TLS where PostgreSQL has none.
    #[error(
        "[database] host = \"{0}\" is a socket on this machine, where PostgreSQL has no TLS: leave out ca"
    )]
    SocketWithCa(String),
    /// This build has no TLS.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// No certificate in the file.
    #[error("{} holds no CA's certificate: it is PEM, one or more of them", .0.display())]
    NoCa(PathBuf),
    /// Two places for one password.
    #[error("a password is in {} and in {variable}: leave one of them out", .file.display())]
    TwoPasswords {
        /// The file.
        file: PathBuf,
        /// In the environment.
        variable: String,
    },
    /// Others on this machine can read the password.
    #[error("{} can be read by others: take it from them with `chmod 600 {}`", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// No password in the file.
    #[error("{} holds no password: it is the file's one line", .0.display())]
    NoPassword(PathBuf),
}
