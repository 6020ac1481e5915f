//! Proxies that speak TLS in the relay's place.

use std::net::IpAddr;

use hyper::HeaderMap;
use ipnet::IpNet;

/// What a proxy says about how its client came.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The networks that proxies connect from.
#[derive(Clone, Debug)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(crate) const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether a trusted proxy says, once and without doubt, that its client came by TLS. From anybody else the header
    /// means nothing.
    pub(crate) fn vouch(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        // On a socket for both families IPv4 comes in IPv6's clothes.
        let peer = peer.to_canonical();
        let mut said = headers.get_all(FORWARDED_PROTO).iter();
        let https = said.next().is_some_and(|value| value == "https") && said.next().is_none();
        https && self.0.iter().any(|network| network.contains(&peer))
    }
}
