//! The NK handshake: `← s` (known beforehand), `→ e, es`, `← e, ee`; both payloads are empty.

use av_wire::Origin;
use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};

use crate::limits::HANDSHAKE;
use crate::symmetric::Symmetric;
use crate::{LinkError, Transport};

/// A relay's X25519 link key pair: 32 secret bytes, wiped when dropped, and the 32 public ones. All instances
/// behind one origin share it.
pub struct LinkSecret {
    secret: StaticSecret,
    public: [u8; 32],
}

impl LinkSecret {
    /// A fresh X25519 key pair.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::of(StaticSecret::random_from_rng(rng))
    }

    /// The key pair of these 32 secret bytes; the caller wipes its own copy.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self::of(StaticSecret::from(*secret))
    }

    fn of(secret: StaticSecret) -> Self {
        let public = PublicKey::from(&secret).to_bytes();
        Self { secret, public }
    }

    /// The 32 secret bytes, to be stored.
    pub fn expose(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// The 32 public bytes: the link key that devices know.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// X25519; an all-zero result, which a key of small order gives with anyone, is refused.
    fn agree(&self, public: &[u8; 32]) -> Result<SharedSecret, LinkError> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(*public));
        if shared.was_contributory() { Ok(shared) } else { Err(LinkError::Rejected) }
    }
}

/// A device that has sent its handshake message and waits for the relay's.
pub struct Initiator {
    symmetric: Symmetric,
    ephemeral: LinkSecret,
    link_key: [u8; 32],
}

impl Initiator {
    /// Begins a link to the relay of `origin` that holds `link_key`, and returns the 48 bytes to send.
    ///
    /// # Errors
    /// [`LinkError::Rejected`] when `link_key` is of small order.
    pub fn start(
        rng: &mut dyn CryptoRng,
        origin: &Origin,
        link_key: &[u8; 32],
    ) -> Result<(Self, [u8; HANDSHAKE]), LinkError> {
        let symmetric = Symmetric::new(origin.as_str().as_bytes(), link_key);
        let mut message = [0; HANDSHAKE];
        let initiator = Self::write_first(rng, symmetric, link_key, &mut message)?;
        Ok((initiator, message))
    }

    /// Takes the relay's 48 bytes; the link is open then, and the relay is who holds the link key.
    ///
    /// # Errors
    /// [`LinkError::Rejected`] when they are not the answer of that relay to this very handshake. Connect anew.
    pub fn finish(self, answer: &[u8]) -> Result<Transport, LinkError> {
        let mut answer: [u8; HANDSHAKE] = answer.try_into().map_err(|_| LinkError::Rejected)?;
        self.read_second(&mut answer)
    }

    /// `→ e, es`: `message` is 32 bytes, the payload, and 16 bytes.
    pub(crate) fn write_first(
        rng: &mut dyn CryptoRng,
        mut symmetric: Symmetric,
        link_key: &[u8; 32],
        message: &mut [u8],
    ) -> Result<Self, LinkError> {
        let ephemeral = LinkSecret::generate(rng);
        write(&mut symmetric, &ephemeral, link_key, message)?;
        Ok(Self { symmetric, ephemeral, link_key: *link_key })
    }

    /// `← e, ee`: the payload is left in `message`, between its first 32 and last 16 bytes.
    pub(crate) fn read_second(mut self, message: &mut [u8]) -> Result<Transport, LinkError> {
        read(&mut self.symmetric, &self.ephemeral, message)?;
        let (sending, receiving) = self.symmetric.split();
        Ok(Transport::new(sending, receiving, self.symmetric.hash(), self.link_key))
    }
}

/// The relay's side: takes a device's handshake message and returns the open link and the 48 bytes to send.
///
/// # Errors
/// [`LinkError::Rejected`] when `message` is not meant for this origin and link key: close the connection without a
/// word.
pub fn respond(
    rng: &mut dyn CryptoRng,
    origin: &Origin,
    secret: &LinkSecret,
    message: &[u8],
) -> Result<(Transport, [u8; HANDSHAKE]), LinkError> {
    let mut message: [u8; HANDSHAKE] = message.try_into().map_err(|_| LinkError::Rejected)?;
    let symmetric = Symmetric::new(origin.as_str().as_bytes(), secret.public());
    let mut answer = [0; HANDSHAKE];
    let transport = answer_first(rng, symmetric, secret, &mut message, &mut answer)?;
    Ok((transport, answer))
}

/// Reads the first message and writes the second, payloads in place.
pub(crate) fn answer_first(
    rng: &mut dyn CryptoRng,
    mut symmetric: Symmetric,
    secret: &LinkSecret,
    message: &mut [u8],
    answer: &mut [u8],
) -> Result<Transport, LinkError> {
    let initiator = read(&mut symmetric, secret, message)?;
    let ephemeral = LinkSecret::generate(rng);
    write(&mut symmetric, &ephemeral, &initiator, answer)?;
    let (receiving, sending) = symmetric.split();
    Ok(Transport::new(sending, receiving, symmetric.hash(), *secret.public()))
}

/// Either message: this side's ephemeral key, the agreement with `theirs`, and the payload sealed in place.
fn write(
    symmetric: &mut Symmetric,
    ephemeral: &LinkSecret,
    theirs: &[u8; 32],
    message: &mut [u8],
) -> Result<(), LinkError> {
    let (public, payload) = message.split_first_chunk_mut::<32>().ok_or(LinkError::Length)?;
    *public = *ephemeral.public();
    symmetric.mix_hash(&[public]);
    let cipher = symmetric.mix_key(ephemeral.agree(theirs)?.as_bytes());
    symmetric.seal(cipher, payload)
}

/// Either message, received: returns the peer's ephemeral key, with which `ours` agreed.
fn read(symmetric: &mut Symmetric, ours: &LinkSecret, message: &mut [u8]) -> Result<[u8; 32], LinkError> {
    let (public, payload) = message.split_first_chunk_mut::<32>().ok_or(LinkError::Rejected)?;
    symmetric.mix_hash(&[public]);
    let cipher = symmetric.mix_key(ours.agree(public)?.as_bytes());
    symmetric.open(cipher, payload)?;
    Ok(*public)
}
