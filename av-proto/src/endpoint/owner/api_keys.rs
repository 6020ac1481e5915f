//! API keys of an owner: granted, counted, closed (`PROTOCOL.md` section 4.6).

use av_wire::chain::Chain;
use av_wire::frame::ToRelay;
use av_wire::key_grant::KeyGrant;
use av_wire::limits::{MAX_CHAIN, MAX_KEEP, MAX_KEY_DEVICES};
use av_wire::statement::Verdict;
use av_wire::{DeviceId, KeyId, RejectCode};
use heapless::Vec;
use rand_core::CryptoRng;

use super::calls::{OwnersCall, put_call, request_number};
use crate::Now;
use crate::api_key::ApiKey;
use crate::crypto::{Aead, scrubbed};
use crate::endpoint::Endpoint;
use crate::endpoint::entries::Entry;
use crate::endpoint::error::{ConnectionError, EndpointError};
use crate::endpoint::event::Event;
use crate::endpoint::introduce::Acquaintance;
use crate::endpoint::slot::Slot;
use crate::enroll::{GrantedKey, KeyUse, sign_key_grant};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Grants an API key: an approval in advance of up to `most` agents (1 to 64) within `lifetime` seconds. Give its text
    /// away only after [`Event::KeyReady`]; it is the key's only copy.
    ///
    /// This device closes the key by itself when its time is over, and when more devices come than may.
    ///
    /// # Errors
    /// [`EndpointError::Full`] while it has granted as many keys as it can, or its own chain has no room below it,
    /// [`EndpointError::NotOwner`], [`EndpointError::NotActive`].
    pub fn grant_key(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        most: u16,
        lifetime: u32,
    ) -> Result<ApiKey, EndpointError> {
        scrubbed(|| self.add_key(now, rng, most, lifetime))
    }

    fn add_key(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        most: u16,
        lifetime: u32,
    ) -> Result<ApiKey, EndpointError> {
        self.require_owner()?;
        let device = self.device.get().ok_or(EndpointError::NotActive)?;
        let membership = device.membership().ok_or(EndpointError::NotActive)?;
        let own = membership.chain().provenance(0).map_err(|_| EndpointError::Bug)?;
        // This owner's certificate and those above it, the key's grant, and a device's certificate.
        if own.lineage.len() + 1 + 2 > MAX_CHAIN {
            return Err(EndpointError::Full);
        }
        let free = self.keys.iter().position(Slot::is_empty).ok_or(EndpointError::Full)?;
        let key = ApiKey::generate(rng, membership.tenant_id());
        let most_possible = u16::try_from(MAX_KEY_DEVICES).map_err(|_| EndpointError::Bug)?;
        let grant = KeyGrant {
            tenant_id: *membership.tenant_id(),
            public_key: key.public(),
            most: most.clamp(1, most_possible),
            expires_at: now.wall.saturating_add(u64::from(lifetime)),
            issued_at: now.wall,
            issuer: *device.identity.device_id(),
        };
        let id = self.next_outbox_id();
        let key_grant = sign_key_grant(device.identity.signing(), &grant, &mut self.scratch)
            .map_err(|_| EndpointError::Bug)?;
        let call = ToRelay::PostKeyGrant { request: request_number(id), key_grant };
        let slot = self.outbox.iter_mut().find(|slot| slot.is_empty()).ok_or(EndpointError::Full)?;
        put_call(slot, id, OwnersCall::GrantKey(grant.key_id()), &call).map_err(|_| EndpointError::Bug)?;
        self.use_outbox_id();
        if let Some(slot) = self.keys.get_mut(free) {
            slot.set(GrantedKey::new(&grant));
        }
        Ok(key)
    }

    /// Closes an API key that this device granted: it lets nobody in any more, and of the devices that enrolled with it
    /// those stay that the relay told this device of.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`] for no such key, or one that is closed, [`EndpointError::Full`],
    /// [`EndpointError::NotOwner`], [`EndpointError::NotActive`].
    pub fn close_key(&mut self, now: Now, key: &KeyId) -> Result<(), EndpointError> {
        self.close_keeping(now, key, |granted| Vec::from_slice(granted.devices()).unwrap_or_default())
    }

    /// Closes an API key whose text leaked: nothing that it signed counts any more, whenever it claims to be from.
    ///
    /// # Errors
    /// As [`Self::close_key`].
    pub fn revoke_key(&mut self, now: Now, key: &KeyId) -> Result<(), EndpointError> {
        self.close_keeping(now, key, |_| Vec::new())
    }

    fn close_keeping(
        &mut self,
        now: Now,
        key: &KeyId,
        kept: impl FnOnce(&GrantedKey) -> Vec<[u8; 16], MAX_KEEP>,
    ) -> Result<(), EndpointError> {
        self.require_owner()?;
        let granted = self.keys.iter().filter_map(Slot::get).find(|granted| granted.key_id() == key);
        let names = kept(granted.ok_or(EndpointError::Unknown)?);
        let subject = key.as_issuer();
        let issuer = self.post_in_turn(now.wall, &subject, Verdict::Revoked, &names, None)?;
        self.obey(&issuer, &subject, true, Verdict::Revoked);
        Ok(())
    }

    /// The key is closed, or its grant was not taken.
    pub(in crate::endpoint) fn forget_key(&mut self, key: &KeyId) {
        if let Some(slot) = self.key_slot(key) {
            slot.clear();
        }
    }

    fn key_slot(&mut self, key: &KeyId) -> Option<&mut Slot<GrantedKey>> {
        self.keys.iter_mut().find(|slot| slot.get().is_some_and(|granted| granted.key_id() == key))
    }

    /// Closes the keys whose time is over, and those with which more devices came than may, once nothing that came before
    /// waits in the inbox. What the outbox has no room for waits for the next tick.
    pub(in crate::endpoint) fn close_keys(&mut self, now: Now) {
        let is_caught_up =
            self.link.get().is_some_and(|link| link.authenticated && self.taken() >= link.waiting);
        let over = self.keys.iter().filter_map(Slot::get).find(|granted| granted.is_over(now.wall));
        let Some(key) = over.filter(|_| is_caught_up).map(|granted| *granted.key_id()) else { return };
        if self.close_key(now, &key).is_ok() {
            self.notify(Event::KeyClosed(key));
        }
    }

    /// Whether a device with this chain, which was verified, may be known: with an open key of this owner it may as one of
    /// those that may enroll. With a closed one its chain was believed only since it is kept.
    pub(in crate::endpoint) fn lets_in(&self, chain: Chain<'_>, known: &Acquaintance) -> bool {
        let Ok(Some(grant)) = chain.claimed_key() else { return true };
        if Some(grant.issuer) != self.device_id() {
            return true;
        }
        let key = grant.key_id();
        if self.meta.get().is_some_and(|meta| meta.revoked.contains(&key.as_issuer())) {
            return true;
        }
        let granted = self.keys.iter().filter_map(Slot::get).find(|granted| *granted.key_id() == key);
        granted.is_some_and(|granted| granted.examine(known.name()) != KeyUse::TooMany)
    }

    /// A device enrolled with a key of this owner.
    pub(in crate::endpoint) fn key_used(
        &mut self,
        now: Now,
        entry: Entry,
        chain: Chain<'_>,
    ) -> Result<(), ConnectionError> {
        let (key, device) = match (chain.claimed_key(), chain.claimed()) {
            (Ok(Some(grant)), Ok(cert)) if Some(grant.issuer) == self.device_id() => {
                (grant.key_id(), cert.device_id())
            }
            _ => return self.refuse_use(entry),
        };
        self.require_peer(&device)?;
        let known = self.certified(&device, chain);
        let (Some(known), Some(slot)) = (known, self.key_slot(&key)) else { return self.refuse_use(entry) };
        let found = slot.get_mut().map_or(KeyUse::Known, |granted| granted.note(known.name()));
        if found != KeyUse::Known {
            slot.mark_changed();
        }
        if found == KeyUse::New && self.peer_index(&device).is_none() {
            // With no room for it, its first message makes it a peer.
            let _ = self.add_introduced(now, &known);
        }
        self.take_entry(entry);
        match found {
            KeyUse::New => self.notify(Event::KeyUsed { key, device }),
            KeyUse::Known => {}
            KeyUse::TooMany => self.notify(Event::KeyOverused { key, device }),
        }
        Ok(())
    }

    fn refuse_use(&mut self, entry: Entry) -> Result<(), ConnectionError> {
        self.reject(entry, DeviceId::ROOT, RejectCode::Unopened);
        Ok(())
    }
}
