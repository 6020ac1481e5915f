//! The five keys of an invite, and what is sealed and tagged with them (`PROTOCOL.md` sections 3 and 4).

use av_wire::enroll::EnrollTranscript;
use av_wire::grant::{Grant, OwnerSerial};
use av_wire::labels;
use av_wire::layout::Reader;
use av_wire::limits::{MAX_OWNERS, SEALED_NAME};
use heapless::{String, Vec};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::InviteText;
use crate::crypto::{Aead, CryptoError, Secret, TAG, XChaCha20Poly1305, derive_keys, mac, verify_mac};
use crate::limits::{NAME_MAX, PLATFORM_MAX};
use crate::record::codec::{CodecError, Writer};

/// Bytes of the sealed name's nonce.
const NONCE: usize = XChaCha20Poly1305::NONCE;
/// Bytes of name and platform with their marks, padded so that the relay does not learn their lengths.
const PADDED: usize = SEALED_NAME - NONCE - TAG;
/// Between name and platform.
const SEPARATOR: u8 = 0;
/// Behind the platform, before the zeros.
const END: u8 = 0x80;

const _: () = assert!(NAME_MAX + 1 + PLATFORM_MAX + 1 == PADDED, "every name and platform fit");

/// What both ends of an invite derive from its token; the token itself is then wiped. 160 bytes.
pub struct InviteKeys {
    lookup: [u8; 32],
    enroll_key: Secret<32>,
    grant_key: Secret<32>,
    psk: Secret<32>,
    name_key: Secret<32>,
}

impl InviteKeys {
    /// Bytes of the encoding in a record.
    pub const LEN: usize = 5 * 32;

    /// No invite's; [`Self::derive`] takes their place.
    pub(crate) const ZERO: Self = Self {
        lookup: [0; 32],
        enroll_key: Secret::zero(),
        grant_key: Secret::zero(),
        psk: Secret::zero(),
        name_key: Secret::zero(),
    };

    /// `KDF("AV1 invite", token, "", 160)`.
    pub fn derive(invite: &InviteText) -> Self {
        let [lookup, enroll_key, grant_key, psk, name_key] =
            derive_keys(labels::kdf::INVITE, &[invite.token()], &[]);
        Self { lookup: *lookup.expose(), enroll_key, grant_key, psk, name_key }
    }

    /// 32 bytes: what the enrolling device shows the relay, which stores only their hash.
    pub const fn lookup(&self) -> &[u8; 32] {
        &self.lookup
    }

    /// The pre-shared key of the first sessions between the device and the owner that approves it.
    pub const fn psk(&self) -> &Secret<32> {
        &self.psk
    }

    /// The pre-shared key alone; the other keys are wiped.
    pub fn into_psk(self) -> Secret<32> {
        self.psk
    }

    /// Seals a proposed name of at most [`NAME_MAX`] bytes and a platform of at most [`PLATFORM_MAX`]:
    /// nonce(24) ‖ name ‖ 0x00 ‖ platform ‖ 0x80 ‖ zeros to 64 ‖ tag(16).
    ///
    /// # Errors
    /// [`CryptoError`] for a name or platform that is longer or has control characters.
    pub fn seal_name(
        &self,
        rng: &mut dyn CryptoRng,
        name: &str,
        platform: &str,
    ) -> Result<[u8; SEALED_NAME], CryptoError> {
        if name.len() > NAME_MAX || platform.len() > PLATFORM_MAX || !is_plain(name) || !is_plain(platform) {
            return Err(CryptoError);
        }
        let mut sealed = [0; SEALED_NAME];
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE>().ok_or(CryptoError)?;
        let (padded, tag) = rest.split_first_chunk_mut::<PADDED>().ok_or(CryptoError)?;
        let plain = name.bytes().chain([SEPARATOR]).chain(platform.bytes()).chain([END]);
        padded.iter_mut().zip(plain).for_each(|(slot, byte)| *slot = byte);
        rng.fill_bytes(nonce);
        tag.copy_from_slice(&XChaCha20Poly1305::seal(&self.name_key, nonce, &self.lookup, padded)?);
        Ok(sealed)
    }

    /// Opens a sealed name: name and platform, safe to print on a terminal.
    ///
    /// # Errors
    /// [`CryptoError`] when it does not open, or holds anything but two UTF-8 texts without control characters in
    /// exactly that layout.
    pub fn open_name(&self, sealed: &[u8]) -> Result<(String<NAME_MAX>, String<PLATFORM_MAX>), CryptoError> {
        let sealed: &[u8; SEALED_NAME] = sealed.try_into().map_err(|_| CryptoError)?;
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(CryptoError)?;
        let (padded, tag) = rest.split_first_chunk::<PADDED>().ok_or(CryptoError)?;
        let tag = tag.try_into().map_err(|_| CryptoError)?;
        let mut plain = Zeroizing::new(*padded);
        XChaCha20Poly1305::open(&self.name_key, nonce, &self.lookup, &mut *plain, tag)?;

        let end = plain.iter().rposition(|byte| *byte != 0).ok_or(CryptoError)?;
        let (texts, mark) = plain.split_at_checked(end).ok_or(CryptoError)?;
        let separator = texts.iter().position(|byte| *byte == SEPARATOR).ok_or(CryptoError)?;
        let (name, platform) = texts.split_at_checked(separator).ok_or(CryptoError)?;
        let name = text(name)?;
        let platform = text(platform.get(1..).ok_or(CryptoError)?)?;
        if mark.first() == Some(&END) { Ok((name, platform)) } else { Err(CryptoError) }
    }

    /// 32 bytes: the enrolling device's proof to the inviting device that it holds the token.
    ///
    /// # Errors
    /// [`CryptoError`], which no transcript causes.
    pub fn enroll_tag(&self, transcript: &EnrollTranscript) -> Result<[u8; 32], CryptoError> {
        mac(&self.enroll_key, labels::mac::ENROLL_TAG, &[&transcript.0])
    }

    /// Whether `tag` is the enrolling device's proof, in constant time.
    pub fn verify_enroll_tag(&self, transcript: &EnrollTranscript, tag: &[u8; 32]) -> bool {
        verify_mac(&self.enroll_key, labels::mac::ENROLL_TAG, &[&transcript.0], tag)
    }

    /// 32 bytes: the inviting device's proof that the grant is its own, over
    /// t ‖ chain hash ‖ u16 ‖ origin ‖ link key ‖ next link key ‖ u16 ‖ (owner id ‖ serial)*.
    ///
    /// # Errors
    /// [`CryptoError`] for an origin of more than 65,535 bytes or more than [`MAX_OWNERS`] serials.
    pub fn grant_tag(
        &self,
        transcript: &EnrollTranscript,
        chain_hash: &[u8; 32],
        origin: &str,
        link_key: &[u8; 32],
        next_link_key: &[u8; 32],
        serials: &[OwnerSerial],
    ) -> Result<[u8; 32], CryptoError> {
        let origin_len = u16::try_from(origin.len()).map_err(|_| CryptoError)?.to_be_bytes();
        let count = u16::try_from(serials.len()).map_err(|_| CryptoError)?.to_be_bytes();
        let mut list = Vec::<u8, { MAX_OWNERS * 24 }>::new();
        for serial in serials {
            list.extend_from_slice(serial.owner.as_bytes()).map_err(|_| CryptoError)?;
            list.extend_from_slice(&serial.serial.to_be_bytes()).map_err(|_| CryptoError)?;
        }
        mac(
            &self.grant_key,
            labels::mac::GRANT,
            &[
                &transcript.0,
                chain_hash,
                &origin_len,
                origin.as_bytes(),
                link_key,
                next_link_key,
                &count,
                &list,
            ],
        )
    }

    /// Whether the grant's tag is the inviting device's proof, in constant time.
    #[inline(never)]
    pub fn verify_grant_tag(&self, transcript: &EnrollTranscript, grant: &Grant<'_>) -> bool {
        let mut serials = Vec::<OwnerSerial, MAX_OWNERS>::new();
        if !grant.serials.iter().all(|serial| serials.push(serial).is_ok()) {
            return false;
        }
        let (link_key, next_link_key) = (&grant.link_key, &grant.next_link_key);
        let hash = grant.chain().hash();
        self.grant_tag(transcript, &hash, grant.origin, link_key, next_link_key, &serials)
            .is_ok_and(|computed| Secret::new(computed).ct_eq(&Secret::new(grant.tag)))
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.bytes(&self.lookup)?;
        for key in [&self.enroll_key, &self.grant_key, &self.psk, &self.name_key] {
            writer.secret(key.expose())?;
        }
        Ok(())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            lookup: *reader.array()?,
            enroll_key: Secret::new(*reader.array()?),
            grant_key: Secret::new(*reader.array()?),
            psk: Secret::new(*reader.array()?),
            name_key: Secret::new(*reader.array()?),
        })
    }
}

/// Whether a name can be shown to a person as it is: no control character, which also rules out the separator, and
/// nothing that is invisible or turns the direction of what follows, so that no name looks like another line.
pub fn is_plain(text: &str) -> bool {
    !text
        .chars()
        .any(|character| character.is_control() || INVISIBLE.iter().any(|range| range.contains(&character)))
}

/// Soft hyphen, zero-width and direction marks, line and paragraph separators, embeddings, isolates, invisible
/// operators, byte order mark, tags.
const INVISIBLE: [core::ops::RangeInclusive<char>; 8] = [
    '\u{ad}'..='\u{ad}',
    '\u{61c}'..='\u{61c}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{e0000}'..='\u{e007f}',
];

fn text<const N: usize>(bytes: &[u8]) -> Result<String<N>, CryptoError> {
    let text = str::from_utf8(bytes).map_err(|_| CryptoError)?;
    if is_plain(text) { text.try_into().map_err(|_| CryptoError) } else { Err(CryptoError) }
}
