//! A device that enrolls with an API key (`PROTOCOL.md` section 4.6): nobody approves it, and nobody writes to it first.

use av_wire::bundle::KEM_RECORD;
use av_wire::chain::{Chain, VerifiedKey};
use av_wire::frame::ToRelay;
use av_wire::{DeviceId, DevicePublic, Origin, Role};
use heapless::String;
use rand_core::CryptoRng;

use super::calls::CallAbout;
use super::device::{LinkKeys, Progress};
use super::error::EndpointError;
use super::event::{EndReason, Event, Standing};
use super::peer::NewPeer;
use super::slot::Slot;
use super::{Endpoint, Phase};
use crate::Now;
use crate::api_key::ApiKey;
use crate::crypto::{Aead, CryptoError, scrubbed};
use crate::enroll::Certification;
use crate::limits::{KEM_PREKEYS_IN_BUNDLE, OWN_BUNDLE};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Begins to enroll as an agent with an API key, which is wiped as soon as it has certified this device. `link_key` is
    /// the relay's, where it offers a Noise link. Ends in [`Event::EnrollmentActive`] or [`Event::EnrollmentEnded`]; then
    /// the endpoint begins a session with the owner that granted the key by itself.
    ///
    /// An enrollment that is not over is replaced.
    ///
    /// # Errors
    /// [`EndpointError::NotEmpty`].
    pub fn enroll_with_key(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        key: ApiKey,
        origin: &Origin,
        link_key: Option<[u8; 32]>,
    ) -> Result<(), EndpointError> {
        scrubbed(|| self.begin_with_key(now, rng, key, origin, link_key))
    }

    fn begin_with_key(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        key: ApiKey,
        origin: &Origin,
        link_key: Option<[u8; 32]>,
    ) -> Result<(), EndpointError> {
        if self.phase() != Phase::Enrolling {
            self.require_empty()?;
        }
        let identity = self.generate_identity(rng, Role::Agent)?;
        let link_keys = LinkKeys::of(link_key, now.wall);
        self.begin(now, rng, identity, String::new(), origin, link_keys);
        self.device.get_mut().ok_or(EndpointError::Bug)?.hold_key(key);
        Ok(())
    }

    /// The key's grant came: this device certifies itself with the key, and forgets it.
    #[inline(never)]
    pub(super) fn key_found(&mut self, now: Now, key_chain: Chain<'_>) {
        match self.certify_self(now, key_chain) {
            Ok(owner) => self.notify(Event::EnrollmentGranted { owner: owner.fingerprint() }),
            Err(CryptoError) => self.notify(Event::EnrollmentEnded(EndReason::GrantInvalid)),
        }
    }

    fn certify_self(&mut self, now: Now, key_chain: Chain<'_>) -> Result<DevicePublic, CryptoError> {
        let Some(Progress::KeyHeld(held)) = self.device.get().map(|device| &device.progress) else {
            return Err(CryptoError);
        };
        let granted = held.verify(key_chain)?;
        self.certify_under(now, key_chain, &granted)?;
        Ok(*granted.owner())
    }

    /// In a frame of its own, as the bundle takes a kilobyte.
    #[inline(never)]
    fn certify_under(
        &mut self,
        now: Now,
        key_chain: Chain<'_>,
        granted: &VerifiedKey,
    ) -> Result<(), CryptoError> {
        let device = self.device.get().ok_or(CryptoError)?;
        let Progress::KeyHeld(held) = &device.progress else { return Err(CryptoError) };
        let (mut buffer, mut room) = ([0; OWN_BUNDLE], [[0; KEM_RECORD]; KEM_PREKEYS_IN_BUNDLE]);
        let bundle = self.prekeys.get().ok_or(CryptoError)?.bundle(&device.identity, &mut room)?;
        let bundle = bundle.encode(&mut buffer).map_err(|_| CryptoError)?;
        let (chain, certified) =
            held.certify(&device.identity, granted, key_chain, bundle, now.wall, &mut self.scratch)?;
        self.device.edit().ok_or(CryptoError)?.certified_by_key(chain, certified).map_err(|_| CryptoError)
    }

    /// The relay let this device in: the owner that granted the key is its first peer.
    pub(super) fn enrolled_with_key(&mut self, now: Now) {
        let Some(own) = self.membership() else { return };
        let owner = own.approver().and_then(|owner| own.chain().find(&owner).ok()?);
        // Behind the device's certificate and the key's grant stands the owner's.
        let (Some(owner), Ok(provenance)) = (owner, own.chain().provenance(2)) else { return };
        let certification = Certification::new(provenance);
        if let Some(vacancy) = self.vacancy(now) {
            let new = NewPeer {
                device: &owner.device,
                name: "owner",
                standing: Standing::Active,
                certification: &certification,
                psk: None,
            };
            self.add_peer(&vacancy, &new);
        }
    }

    /// What a grant told a device that an owner approved: with a key it asks for the statements of the root and of the
    /// owners on its chain, and begins a session with the owner that granted the key. What comes to nothing is tried again
    /// on the next connection.
    pub(super) fn begin_unapproved(&mut self) {
        let (Some(own), Some(meta)) = (self.membership(), self.meta.get()) else { return };
        let (Ok(Some(key)), Ok(own)) = (own.chain().claimed_key(), own.chain().provenance(0)) else { return };
        let is_session_due = self
            .peers
            .iter()
            .filter_map(Slot::get)
            .any(|peer| peer.device_id == key.issuer && peer.sending_session().is_none());
        // The first on its chain is the key, which says nothing.
        let issuers = own.lineage.into_iter().skip(1).chain([DeviceId::ROOT]);
        let unheard: heapless::Vec<DeviceId, 4> =
            issuers.filter(|issuer| meta.serials.last(issuer) == 0).collect();
        for issuer in unheard {
            // With too many calls under way, the next connection brings it up again.
            let _ = self.fetch_statements(issuer, 0);
        }
        if is_session_due {
            let _ = self.start_session(&key.issuer, true);
        }
    }

    pub(super) fn fetch_statements(&mut self, issuer: DeviceId, after: u64) -> Result<(), EndpointError> {
        self.call(CallAbout::FetchStatements(issuer, after), |request| ToRelay::FetchStatements {
            request,
            issuer,
            after,
        })
    }
}
