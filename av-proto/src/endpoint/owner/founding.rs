//! How an owner begins: as the founder of a tenant, or by its recovery key (`PROTOCOL.md` section 4.4).

use av_wire::{Origin, Role};
use rand_core::CryptoRng;

use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::endpoint::Endpoint;
use crate::endpoint::begin::valid_name;
use crate::endpoint::device::LinkKeys;
use crate::endpoint::error::EndpointError;
use crate::enroll::RecoveryKey;

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Makes a tenant: its root, and this device as its founding owner (`PROTOCOL.md` section 4.4). The recovery key
    /// is the root's only copy. `link_key` is the relay's, where it offers a Noise link.
    ///
    /// # Errors
    /// [`EndpointError::NotEmpty`] or [`EndpointError::InvalidName`].
    pub fn found(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        origin: &Origin,
        link_key: Option<[u8; 32]>,
        name: &str,
    ) -> Result<RecoveryKey, EndpointError> {
        self.require_empty()?;
        let root = RecoveryKey::generate(rng);
        self.found_by(now, rng, origin, link_key, name, &root)?;
        Ok(root)
    }

    /// Makes this device an owner by the word of a tenant's root, as when the founder's device is lost
    /// (`PROTOCOL.md` section 4.4). Ends in [`Event::Founded`](crate::Event::Founded) like the founding itself.
    ///
    /// # Errors
    /// [`EndpointError::NotEmpty`] or [`EndpointError::InvalidName`].
    pub fn found_by(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        origin: &Origin,
        link_key: Option<[u8; 32]>,
        name: &str,
        root: &RecoveryKey,
    ) -> Result<(), EndpointError> {
        scrubbed(|| self.begin_founding(now, rng, origin, link_key, name, root))
    }

    fn begin_founding(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        origin: &Origin,
        link_key: Option<[u8; 32]>,
        name: &str,
        root: &RecoveryKey,
    ) -> Result<(), EndpointError> {
        self.require_empty()?;
        let name = valid_name(name)?;
        let identity = self.generate_identity(rng, Role::Owner)?;
        let (membership, founding) =
            root.found(&identity, origin, now.wall).map_err(|_| EndpointError::Bug)?;
        let link_keys = LinkKeys::of(link_key, now.wall);
        self.begin(now, rng, identity, name, origin, link_keys);
        self.device.get_mut().ok_or(EndpointError::Bug)?.found(membership, founding);
        Ok(())
    }
}
