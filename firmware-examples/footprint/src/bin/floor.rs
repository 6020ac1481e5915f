//! The floor: the primitives that an agent needs, called by hand, and nothing else. What the image `agent` has above
//! this one is av-proto, the store and the script.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::hint::black_box;
use core::panic::PanicInfo;

use blake2::digest::consts::U32;
use blake2::digest::{KeyInit as _, Mac as _};
use blake2::{Blake2b, Blake2bMac};
use chacha20::ChaCha20Rng;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey};
use hkdf::Hkdf;
use hmac::Hmac;
use rand_core::{Rng, SeedableRng};
use semihosting::process;
use sha2::Sha512;
use x25519_dalek::{PublicKey, StaticSecret};

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut rng = ChaCha20Rng::from_seed(black_box([1; 32]));
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    process::exit(if all(&bytes).is_some() { 0 } else { 1 })
}

/// Every primitive once, each fed by the one before.
#[inline(never)]
fn all(seed: &[u8; 32]) -> Option<()> {
    let own = StaticSecret::from(*seed);
    let peer = PublicKey::from(&StaticSecret::from([2; 32]));
    let shared = own.diffie_hellman(&peer);

    let mut derived = [0; 96];
    Hkdf::<Sha512>::new(Some(seed), shared.as_bytes()).expand(b"floor", &mut derived).ok()?;
    let mut chain = <Hmac<Sha512> as hmac::KeyInit>::new_from_slice(&derived).ok()?;
    hmac::Mac::update(&mut chain, b"floor");
    let chain = hmac::Mac::finalize(chain).into_bytes();

    let signing = SigningKey::from_bytes(chain.first_chunk()?);
    let signature = signing.sign(&derived);
    let verifying = ed25519_dalek::VerifyingKey::from_bytes(black_box(&signing.verifying_key().to_bytes()));
    verifying.ok()?.verify_strict(&derived, &signature).ok()?;

    let hash = <Blake2b<U32> as blake2::Digest>::digest(signature.to_bytes());
    let mut mac = Blake2bMac::<U32>::new_with_salt_and_personal(Some(&hash), &[], b"floor").ok()?;
    mac.update(&chain);
    let key = mac.finalize().into_bytes();

    let aead = XChaCha20Poly1305::new(&key);
    let nonce: &XNonce = signature.r_bytes().first_chunk::<24>()?.into();
    let mut text = black_box(derived);
    let tag = aead.encrypt_inout_detached(nonce, seed, text.as_mut_slice().into()).ok()?;
    aead.decrypt_inout_detached(nonce, seed, black_box(&mut text).as_mut_slice().into(), &tag).ok()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    process::exit(1)
}
