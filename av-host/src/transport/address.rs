//! Where an origin may be reached: in the open on this machine only.

use std::io;
use std::net::{IpAddr, SocketAddr};

use av_proto::wire::Origin;

use super::TransportError;

/// The port of a plain WebSocket origin that names none (RFC 6455 section 3).
const DEFAULT_PORT: u16 = 80;

/// How far a connection may go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It is plain.
    ThisMachine,
    /// The Noise link protects it.
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
    if !origin.is_plain() {
        return Err(TransportError::TlsUnsupported(origin.to_string()));
    }
    let invalid = || TransportError::Address(origin.to_string());
    let authority = origin.authority();
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or_else(invalid)?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or_else(invalid)?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let port = if port.is_empty() { DEFAULT_PORT } else { port.parse().map_err(|_| invalid())? };
    if host.is_empty() { Err(invalid()) } else { Ok((host, port)) }
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
