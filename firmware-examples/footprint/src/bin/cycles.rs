//! What av-proto adds to its primitives in time: a message of 100 bytes, sealed and opened, beside the same primitives
//! called by hand in this image, in instructions. `make cycles` runs it and holds the ratios.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::hint::black_box;
use core::panic::PanicInfo;

use av_proto::XChaCha20Poly1305 as Cipher;
use av_proto::crypto::scrubbed;
use av_proto::keys::{Identity, Prekeys};
use av_proto::ratchet::{HeaderBlob, Session};
use av_proto::wire::{Role, Suite, TenantId};
use av_proto::x3dh::{Parameters, initiate, respond};
use chacha20::ChaCha20Rng;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use firmware_common::clock;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand_core::{Rng, SeedableRng};
use semihosting::{println, process};
use sha2::Sha512;
use x25519_dalek::{PublicKey, StaticSecret};

/// Bytes of a message, an application's, padded to 32.
const BODY: usize = 100;
const KIND: u8 = 1;
const BLOCK: usize = 32;
const PADDED: usize = 128;
/// Bytes that a header's seal covers beside it, and a body's.
const HEADER_AD: usize = 34;
const BODY_AD: usize = HEADER_AD + 24 + 56;
/// Messages over which is averaged.
const MESSAGES: u32 = 8;
/// Of [`clock::known`].
const ROUNDS: u32 = 1_000_000;

#[cortex_m_rt::entry]
fn main() -> ! {
    match report() {
        Some(()) => process::exit(0),
        None => {
            println!("FAILED: a message did not open");
            process::exit(1)
        }
    }
}

fn report() -> Option<()> {
    println!("known {} {}", 2 * ROUNDS, clock::instructions(|| clock::known(ROUNDS)));
    let (ours, theirs) = (StaticSecret::from([1; 32]), PublicKey::from(&StaticSecret::from([2; 32])));
    let x25519 = clock::instructions(|| drop(black_box(ours.diffie_hellman(black_box(&theirs)))));
    println!("x25519 {x25519}");
    println!("scrubbed {}", clock::instructions(|| scrubbed(|| ())));

    let mut pair = Pair::new()?;
    let mut floor = Floor::new();
    let chain = average(|| floor.chain_message())?;
    println!("chain_100 {} {chain}", average(|| pair.message(true))?);
    let step = average(|| floor.step_message())?;
    // The two sides take turns, so that each message makes a step.
    let mut from_a = false;
    let av_step = average(|| {
        from_a = !from_a;
        pair.message(!from_a)
    })?;
    println!("dh_step_100 {av_step} {step}");
    Some(())
}

/// Instructions a call.
fn average(mut call: impl FnMut() -> Option<()>) -> Option<u32> {
    let mut done = Some(());
    let all = clock::instructions(|| {
        for _ in 0..MESSAGES {
            done = done.and_then(|()| call());
        }
    });
    done.map(|()| all / MESSAGES)
}

/// Both ends of a session.
struct Pair {
    a: Session<Cipher, 16>,
    b: Session<Cipher, 16>,
    rng: ChaCha20Rng,
}

impl Pair {
    /// By X3DH and as many turns as fill every receiving chain that is kept.
    fn new() -> Option<Self> {
        const TENANT: TenantId = TenantId([0x7e; 16]);
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let suites = Suite::XChaCha20Poly1305.alone();
        let a = Identity::generate(&mut rng, Role::Owner, suites, 4_096);
        let b = Identity::generate(&mut rng, Role::Agent, suites, 4_096);
        let prekeys = Prekeys::<2>::generate(&mut rng, suites, 0);

        let bundle = prekeys.bundle(&b, &mut []).ok()?;
        let verified = bundle.verify(b.public()).ok()?;
        let to_b = Parameters { tenant: &TENANT, identity: &a, peer: b.public(), generation: 1, psk: None };
        let mut initiator = initiate::<Cipher, 16>(&to_b, &verified, &mut rng).ok()?;
        let mut bytes = [0; 1_024];
        let first = initiator.encrypt(&mut rng, &[0; 16], KIND, &[0x61; BODY], BLOCK, &mut bytes).ok()?;
        let (header, text) = bytes.get(..first.len)?.split_at_checked(first.header_len)?;

        let prelude = HeaderBlob::parse(header).ok()?.prelude?;
        let one_time = prelude.one_time_prekey.and_then(|id| prekeys.one_time_secret(id));
        let to_a = Parameters { tenant: &TENANT, identity: &b, peer: a.public(), generation: 1, psk: None };
        let signed = prekeys.signed_secret(prelude.signed_prekey)?;
        let mut responder = respond::<Cipher, 16>(&to_a, &prelude, signed, one_time, None).ok()?;
        responder.decrypt(header, text, &mut [0; 256]).ok()?;

        let mut pair = Self { a: initiator, b: responder, rng };
        for turn in 0..16 {
            pair.message(turn % 2 == 1)?;
        }
        Some(pair)
    }

    /// One message, sealed by the one and opened by the other.
    #[inline(never)]
    fn message(&mut self, from_a: bool) -> Option<()> {
        let Self { a, b, rng } = self;
        let (from, to) = if from_a { (a, b) } else { (b, a) };
        let (mut bytes, mut out) = ([0; 384], [0; 256]);
        let body = black_box([0x61; BODY]);
        let sealed = from.encrypt(rng, &[0; 16], KIND, &body, BLOCK, &mut bytes).ok()?;
        let (header, text) = black_box(bytes.get(..sealed.len)?).split_at_checked(sealed.header_len)?;
        let opened = to.decrypt(header, text, &mut out).ok()?;
        (black_box(opened.len) == BODY).then_some(())
    }
}

/// The primitives that AV/1 prescribes for a message, by hand: no parsing, no bookkeeping, no state to commit.
struct Floor {
    rng: ChaCha20Rng,
    root: [u8; 32],
    sending: [u8; 32],
    receiving: [u8; 32],
    theirs: StaticSecret,
    their_public: PublicKey,
}

/// A message as it travels.
struct Sealed {
    nonce: [u8; 24],
    header: [u8; 40],
    header_tag: [u8; 16],
    text: [u8; PADDED],
    tag: [u8; 16],
}

impl Floor {
    fn new() -> Self {
        let theirs = StaticSecret::from([3; 32]);
        let their_public = PublicKey::from(&theirs);
        let rng = ChaCha20Rng::from_seed([2; 32]);
        Self { rng, root: [8; 32], sending: [8; 32], receiving: [8; 32], theirs, their_public }
    }

    /// A chain step, a header and a body each side.
    #[inline(never)]
    fn chain_message(&mut self) -> Option<()> {
        let key = chain_step(&mut self.sending)?;
        let mut sealed = self.seal(&key)?;
        open(&[7; 32], &sealed.nonce, &[6; HEADER_AD], &mut sealed.header, &sealed.header_tag)?;
        let key = chain_step(&mut self.receiving)?;
        open(&key, &sealed.nonce, &[6; BODY_AD], black_box(&mut sealed.text), &sealed.tag)
    }

    /// The sender makes a key pair and a root step; the receiver tries the current header key, opens with the next
    /// one, and makes its root step.
    #[inline(never)]
    fn step_message(&mut self) -> Option<()> {
        let ours = StaticSecret::random_from_rng(&mut self.rng);
        let our_public = PublicKey::from(&ours);
        let mut chain = root_step(&self.root, ours.diffie_hellman(&self.their_public).as_bytes())?;
        let key = chain_step(&mut chain)?;
        let mut sealed = self.seal(&key)?;

        let mut tried = sealed.header;
        if open(&[1; 32], &sealed.nonce, &[6; HEADER_AD], &mut tried, &sealed.header_tag).is_some() {
            return None;
        }
        open(&[7; 32], &sealed.nonce, &[6; HEADER_AD], &mut sealed.header, &sealed.header_tag)?;
        let mut chain = root_step(&self.root, self.theirs.diffie_hellman(&our_public).as_bytes())?;
        let key = chain_step(&mut chain)?;
        open(&key, &sealed.nonce, &[6; BODY_AD], black_box(&mut sealed.text), &sealed.tag)
    }

    fn seal(&mut self, key: &[u8; 32]) -> Option<Sealed> {
        let (mut nonce, mut header, mut text) = ([0; 24], [5; 40], [0x61; PADDED]);
        self.rng.fill_bytes(&mut nonce);
        let header_tag = seal(&[7; 32], &nonce, &[6; HEADER_AD], &mut header)?;
        let tag = seal(key, &nonce, &[6; BODY_AD], &mut text)?;
        Some(Sealed { nonce, header, header_tag, text, tag })
    }
}

fn seal(key: &[u8; 32], nonce: &[u8; 24], ad: &[u8], text: &mut [u8]) -> Option<[u8; 16]> {
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.encrypt_inout_detached(nonce.into(), ad, text.into()).ok().map(Into::into)
}

fn open(key: &[u8; 32], nonce: &[u8; 24], ad: &[u8], text: &mut [u8], tag: &[u8; 16]) -> Option<()> {
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(nonce.into(), ad, text.into(), tag.into()).ok()
}

/// One HMAC-SHA-512: the next chain key in place, and the message key.
fn chain_step(chain: &mut [u8; 32]) -> Option<[u8; 32]> {
    let mut hmac = <Hmac<Sha512> as KeyInit>::new_from_slice(chain).ok()?;
    hmac.update(b"AV1 chain\x01");
    let output: [u8; 64] = hmac.finalize().into_bytes().into();
    *chain = *output.first_chunk()?;
    output.last_chunk().copied()
}

/// HKDF-SHA-512 of a DH: the chain key.
fn root_step(root: &[u8; 32], agreed: &[u8; 32]) -> Option<[u8; 32]> {
    let mut output = [0; 96];
    Hkdf::<Sha512>::new(Some(root), agreed).expand(b"AV1 root", &mut output).ok()?;
    output.last_chunk().copied()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    process::exit(1)
}
