//! Two AgentVault devices in one Cortex-M4 image, checked under QEMU's `mps2-an386`.
//!
//! The image prints one line for each check and ends the emulator with status 0, or panics and ends it with 101.
//! `.ci/firmware` holds the last line to [`VERDICT`], so that an image that stops half-way cannot pass.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod entropy;
mod primitives;

use semihosting::{println, process};

/// First words of the last line; `.ci/firmware` looks for them.
const VERDICT: &str = "selftest passed";

#[cortex_m_rt::entry]
fn main() -> ! {
    let checks: &[(&str, fn())] = &[
        ("X25519 agrees with RFC 7748", primitives::x25519),
        ("Ed25519 agrees with RFC 8032", primitives::ed25519),
        (
            "XChaCha20-Poly1305 agrees with its draft",
            primitives::xchacha20_poly1305,
        ),
        (
            "HKDF-SHA-512 agrees with a second implementation",
            primitives::hkdf_sha512,
        ),
        (
            "BLAKE2b-256 agrees with RFC 7693's algorithm",
            primitives::blake2b_256,
        ),
        (
            "two fresh keys agree, seal and open; a changed byte is refused",
            primitives::fresh_keys,
        ),
    ];
    for (name, check) in checks {
        check();
        println!("ok  {name}");
    }
    println!("{VERDICT}: {} checks", checks.len());
    process::exit(0)
}
