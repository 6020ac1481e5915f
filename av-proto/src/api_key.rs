//! An API key: an owner's approval in advance, for agents that are started with nobody at hand (`PROTOCOL.md`
//! section 4.6).

#[cfg(test)]
mod tests;

use core::fmt;

use av_wire::layout::Reader;
use av_wire::{KeyId, TenantId, labels};
use rand_core::CryptoRng;

use crate::crockford;
use crate::crypto::{Secret, SigningSecret};
use crate::record::codec::{CodecError, Writer};

/// Before the text.
const PREFIX: &str = "avk1-";
/// Symbols of the text: 256 bits of seed, 128 of tenant and 16 of checksum, 5 a symbol.
const SYMBOLS: usize = 80;
/// Bytes of seed and tenant.
const LEN: usize = 32 + TenantId::LEN;

/// The seed of an Ed25519 pair and the tenant that it lets agents into, 48 bytes, and their text: 80 symbols in 20
/// groups of 4 behind `avk1-`, of which the last 16 bits catch typing mistakes before the network does.
///
/// `Display` is the way to show it to the person it is for; it has no `Debug`, and is wiped when dropped. The key alone
/// lets nobody in: without an owner's grant it is good for nothing.
pub struct ApiKey {
    seed: Secret<32>,
    tenant_id: TenantId,
}

/// A text is not an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiKeyError;

impl ApiKey {
    /// A fresh key of this tenant, its seed 32 random bytes.
    pub fn generate(rng: &mut dyn CryptoRng, tenant: &TenantId) -> Self {
        Self { seed: Secret::random(rng), tenant_id: *tenant }
    }

    /// Reads a text; case, spaces, dashes, a missing prefix, `O` for `0` and `I` or `L` for `1` are forgiven.
    ///
    /// # Errors
    /// [`ApiKeyError`] for a wrong length, symbol or checksum.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let mut payload = Secret::<LEN>::zero();
        crockford::parse::<SYMBOLS>(PREFIX, labels::hash::API_KEY, text, payload.expose_mut())
            .map_err(|_| ApiKeyError)?;
        let (seed, tenant) = payload.expose().split_first_chunk().ok_or(ApiKeyError)?;
        let tenant_id = TenantId::from_slice(tenant).ok_or(ApiKeyError)?;
        Ok(Self { seed: Secret::new(*seed), tenant_id })
    }

    /// The tenant that it is for.
    pub const fn tenant_id(&self) -> &TenantId {
        &self.tenant_id
    }

    /// The pair's public key, 32 bytes, which is all that the relay learns of it.
    pub fn public(&self) -> [u8; 32] {
        *self.signing().public()
    }

    /// Its id.
    pub fn key_id(&self) -> KeyId {
        KeyId::of(&self.public())
    }

    pub(crate) fn signing(&self) -> SigningSecret {
        SigningSecret::from_seed(self.seed.expose())
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.secret(self.seed.expose())?;
        writer.bytes(self.tenant_id.as_bytes())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { seed: Secret::new(*reader.array()?), tenant_id: TenantId(*reader.array()?) })
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut payload = Secret::<LEN>::zero();
        let (seed, tenant) = payload.expose_mut().split_at_mut(32);
        seed.copy_from_slice(self.seed.expose());
        tenant.copy_from_slice(self.tenant_id.as_bytes());
        crockford::with_text::<SYMBOLS, _>(PREFIX, labels::hash::API_KEY, payload.expose(), |text| {
            f.write_str(text)
        })
    }
}

impl fmt::Display for ApiKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not an API key: it is avk1- and 20 groups of 4; look for a typing mistake")
    }
}

impl core::error::Error for ApiKeyError {}
