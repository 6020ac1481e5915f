use av_wire::bundle::{KEM_RECORD, Prekey, PrekeyKind};
use av_wire::layout::Reader;
use av_wire::{Role, Suite};
use sha2::{Digest, Sha512};

use super::{Identity, Prekeys};
use crate::Now;
use crate::crypto::{AgreementSecret, Secret, XChaCha20Poly1305};
use crate::test_support::{WITHOUT_KEM, bundle, identity, rng, written};

fn stored(identity: &Identity) -> std::vec::Vec<u8> {
    written(Identity::LEN, |writer| identity.write(writer))
}

#[test]
fn an_identity_names_its_own_keys() {
    let identity = Identity::generate(&mut rng(1), Role::Agent, Suite::XChaCha20Poly1305.alone(), 4_096);
    let public = identity.public();
    assert_eq!(public.identity_key, *identity.signing().public());
    assert_eq!(public.agreement_key, *identity.agreement().public());
    assert_ne!(public.identity_key, public.agreement_key);
    assert_eq!(*identity.fingerprint(), public.fingerprint());
    assert_eq!(*identity.device_id(), public.device_id());
    assert_eq!((public.role, public.max_message), (Role::Agent, 4_096));
}

/// No key serves two algorithms: the agreement key is none of the ways to make one of the signing key.
#[test]
fn the_two_identity_keys_have_nothing_to_do_with_each_other() {
    let identity = identity::<XChaCha20Poly1305>(1, Role::Agent);
    let (seed, agreement) = (*identity.signing().seed(), identity.agreement().expose());
    let expanded = Sha512::digest(seed);
    for of_the_seed in [&seed[..], &expanded[..32], &expanded[32..]] {
        assert_ne!(of_the_seed, agreement);
        let of_the_seed =
            AgreementSecret::from_bytes(&Secret::new(of_the_seed.try_into().expect("32 bytes")));
        assert_ne!(of_the_seed.public(), identity.agreement().public());
    }
}

#[test]
fn an_identity_survives_its_record_and_a_mixed_record_is_refused() {
    let (one, other) =
        (identity::<XChaCha20Poly1305>(1, Role::Owner), identity::<XChaCha20Poly1305>(2, Role::Owner));
    let bytes = stored(&one);
    assert_eq!(bytes.len(), Identity::LEN);
    let mut reader = Reader::new(&bytes);
    let read = Identity::read(&mut reader).expect("reads");
    assert!(reader.end().is_ok());
    assert_eq!((read.public(), stored(&read)), (one.public(), bytes.clone()));

    let mut mixed = bytes.clone();
    mixed[..32].copy_from_slice(&stored(&other)[..32]);
    assert!(Identity::read(&mut Reader::new(&mixed)).is_err());
    for len in 0..bytes.len() {
        assert!(Identity::read(&mut Reader::new(&bytes[..len])).is_err());
    }
}

#[test]
fn a_bundle_shows_the_signed_prekey_and_the_least_one_time_prekey() {
    let owner = identity::<XChaCha20Poly1305>(1, Role::Agent);
    let mut prekeys = Prekeys::<3>::generate(&mut rng(2), WITHOUT_KEM, 77);
    prekeys.add_one_time(&mut rng(3), &owner, 78).expect("signs").expect("there is room");
    let shown = bundle(&prekeys, &owner);
    assert_eq!(
        (shown.signed().kind, shown.signed().id, shown.signed().created_at),
        (PrekeyKind::Signed, 1, 77)
    );
    let one_time = shown.one_time().expect("one is shown");
    assert_eq!((one_time.kind, one_time.id), (PrekeyKind::OneTime, 2));
    assert_eq!(shown.signed().key, *prekeys.signed_secret(1).expect("kept").public());
    assert_eq!(one_time.key, *prekeys.one_time_secret(2).expect("kept").public());
    // The identical bytes again: an enrollment is repeated after a crash.
    assert_eq!(prekeys.bundle(&owner, &mut []), prekeys.bundle(&owner, &mut []));
    // Nobody else's device signed them.
    let other = identity::<XChaCha20Poly1305>(9, Role::Agent);
    assert!(prekeys.bundle(&owner, &mut []).expect("signs").verify(other.public()).is_err());
}

#[test]
fn a_one_time_prekey_is_consumed_once_and_its_id_never_comes_back() {
    let owner = identity::<XChaCha20Poly1305>(1, Role::Agent);
    let mut prekeys = Prekeys::<2>::generate(&mut rng(2), WITHOUT_KEM, 0);
    let mut seen = std::vec![2];
    assert!(prekeys.consume_one_time(2));
    assert!(!prekeys.consume_one_time(2));
    assert!(prekeys.one_time_secret(2).is_none());
    assert!(bundle(&prekeys, &owner).one_time().is_none());
    for _ in 0..5 {
        let added = prekeys.add_one_time(&mut rng(3), &owner, 0).expect("signs").expect("there is room");
        let id = Prekey::from_bytes(&added.record).expect("its own record").id;
        assert!(!seen.contains(&id), "id {id} came back");
        seen.push(id);
        assert!(added.verify(owner.public()).is_ok());
        assert!(prekeys.consume_one_time(id));
    }
}

#[test]
fn no_more_one_time_prekeys_than_there_is_room_for() {
    let owner = identity::<XChaCha20Poly1305>(1, Role::Agent);
    let mut prekeys = Prekeys::<2>::generate(&mut rng(2), WITHOUT_KEM, 0);
    assert!(prekeys.add_one_time(&mut rng(3), &owner, 0).expect("signs").is_some());
    let before = written(Prekeys::<2>::MAX_LEN, |writer| prekeys.write(writer));
    assert!(prekeys.add_one_time(&mut rng(3), &owner, 0).expect("signs").is_none());
    assert_eq!(written(Prekeys::<2>::MAX_LEN, |writer| prekeys.write(writer)), before);
    assert_eq!(prekeys.one_time_len(), 2);
}

#[test]
fn the_signed_prekey_before_is_kept_for_one_rotation_and_its_one_time_keys_die_with_it() {
    let owner = identity::<XChaCha20Poly1305>(1, Role::Agent);
    let mut prekeys = Prekeys::<3>::generate(&mut rng(2), WITHOUT_KEM, 0);
    let first = *prekeys.signed_secret(1).expect("kept").public();
    assert!(prekeys.rotate(&mut rng(3), 1));
    assert_eq!(*prekeys.signed_secret(1).expect("in its grace").public(), first);
    assert_eq!(bundle(&prekeys, &owner).signed().id, 3);
    prekeys.add_one_time(&mut rng(4), &owner, 1).expect("signs").expect("there is room");
    assert!(prekeys.one_time_secret(2).is_some() && prekeys.one_time_secret(4).is_some());

    assert!(prekeys.rotate(&mut rng(5), 2));
    assert!(prekeys.signed_secret(1).is_none());
    assert!(prekeys.one_time_secret(2).is_none(), "made under the signed prekey that is gone");
    assert!(prekeys.one_time_secret(4).is_some(), "made under the one that is in its grace");
    assert!(prekeys.signed_secret(3).is_some() && prekeys.signed_secret(5).is_some());
}

#[test]
fn prekeys_survive_their_record() {
    let suites = WITHOUT_KEM.and(Suite::XChaCha20Poly1305MlKem768);
    let owner = Identity::generate(&mut rng(1), Role::Agent, suites, 8_192);
    let mut prekeys = Prekeys::<3>::generate(&mut rng(2), suites, 5);
    let bundle = |prekeys: &Prekeys<3>| {
        let mut room = [[0; KEM_RECORD]; 1];
        let bundle = prekeys.bundle(&owner, &mut room).expect("signs");
        bundle.verify(owner.public()).expect("its own signatures").keep::<1>()
    };
    for round in 0..3 {
        let bytes = written(Prekeys::<3>::MAX_LEN, |writer| prekeys.write(writer));
        let mut reader = Reader::new(&bytes);
        let read = Prekeys::<3>::read(&mut reader).expect("reads");
        assert!(reader.end().is_ok());
        assert_eq!(written(Prekeys::<3>::MAX_LEN, |writer| read.write(writer)), bytes);
        assert_eq!(bundle(&read), bundle(&prekeys));
        for len in 0..bytes.len() {
            assert!(Prekeys::<3>::read(&mut Reader::new(&bytes[..len])).is_err());
        }
        assert!(prekeys.rotate(&mut rng(10 + round), round));
        prekeys.add_one_time(&mut rng(20 + round), &owner, round).expect("signs");
    }
    prekeys.add_one_time(&mut rng(30), &owner, 0).expect("signs");
    prekeys.add_one_time(&mut rng(31), &owner, 0).expect("signs");
    let now = Now { uptime: 0, wall: 0 };
    assert_eq!(prekeys.maintain(now, &mut rng(32), &owner), Ok(true), "one-time KEM prekeys");
    assert_eq!(written(Prekeys::<3>::MAX_LEN, |writer| prekeys.write(writer)).len(), Prekeys::<3>::MAX_LEN);
}

/// An id at or above the counter would be given out a second time.
#[test]
fn a_record_whose_counter_lags_is_refused() {
    let prekeys = Prekeys::<1>::generate(&mut rng(2), WITHOUT_KEM, 5);
    let mut bytes = written(Prekeys::<1>::MAX_LEN, |writer| prekeys.write(writer));
    bytes[..4].copy_from_slice(&2_u32.to_be_bytes());
    assert!(Prekeys::<1>::read(&mut Reader::new(&bytes)).is_err());
}

#[test]
fn ids_that_are_used_up_are_not_used_again() {
    let owner = identity::<XChaCha20Poly1305>(1, Role::Agent);
    let mut prekeys = Prekeys::<2>::generate(&mut rng(2), WITHOUT_KEM, 5);
    let mut bytes = written(Prekeys::<2>::MAX_LEN, |writer| prekeys.write(writer));
    bytes[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    prekeys = Prekeys::read(&mut Reader::new(&bytes)).expect("reads");
    assert!(!prekeys.rotate(&mut rng(3), 6));
    assert!(prekeys.add_one_time(&mut rng(3), &owner, 6).expect("signs").is_none());
    assert_eq!(written(Prekeys::<2>::MAX_LEN, |writer| prekeys.write(writer)), bytes);
}
