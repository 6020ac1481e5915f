//! Where an origin may be reached: in the open on this machine only.

use std::io;
use std::net::{IpAddr, SocketAddr};

use av_proto::wire::Origin;

use super::TransportError;

/// The ports of origins that name none (RFC 6455 section 3).
const PLAIN_PORT: u16 = 80;
const TLS_PORT: u16 = 443;

/// How far a connection may go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It is plain.
    ThisMachine,
    /// TLS or the Noise link protects it.
    Anywhere,
}

/// The addresses of an origin.
///
/// On this machine the addresses themselves are checked, not the name: a name that resolves to another machine is
/// refused even if it is `localhost`.
pub(super) async fn resolve(origin: &Origin, reach: Reach) -> Result<Vec<SocketAddr>, TransportError> {
    let (host, port) = host_and_port(origin)?;
    let unreachable = |source| TransportError::Unreachable { origin: origin.to_string(), source };
    if reach == Reach::Anywhere {
        let addresses = tokio::net::lookup_host((host, port)).await.map_err(unreachable)?;
        return Ok(addresses.collect());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return loopback(origin, [SocketAddr::new(address, port)].into_iter());
    }
    if !host.eq_ignore_ascii_case("localhost") {
        // Not even looked up: the look-up itself would tell others about it.
        return Err(TransportError::NotLoopback(origin.to_string()));
    }
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(unreachable)?;
    loopback(origin, addresses)
}

fn host_and_port(origin: &Origin) -> Result<(&str, u16), TransportError> {
    let default = if origin.is_plain() { PLAIN_PORT } else { TLS_PORT };
    match origin.host() {
        "" => Err(TransportError::Address(origin.to_string())),
        host => Ok((host, origin.port().unwrap_or(default))),
    }
}

fn loopback(
    origin: &Origin,
    addresses: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, TransportError> {
    let mut found = Vec::new();
    for address in addresses {
        if !address.ip().is_loopback() {
            return Err(TransportError::NotLoopback(origin.to_string()));
        }
        found.push(address);
    }
    if found.is_empty() {
        let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(TransportError::Unreachable { origin: origin.to_string(), source });
    }
    Ok(found)
}
