//! Ids certify what they name, and a safety number is one number for both sides that follows every key.

use std::collections::BTreeSet;
use std::format;
use std::string::ToString;

use super::samples::{Device, Root, pattern};
use crate::groups::{Groups, InvalidGroups};
use crate::ids::safety_number;
use crate::limits::MIN_MAX_MESSAGE;
use crate::message::message_id;
use crate::public::{DevicePublic, Role, Suite, Suites};
use crate::{DecodeError, DeviceId, Fingerprint, TenantId};

#[test]
fn a_device_id_is_half_its_fingerprint() {
    let device = Device::new(1, Role::Agent).public;
    assert_eq!(device.device_id().as_bytes(), &device.fingerprint().0[..16]);
    assert_eq!(device.fingerprint().device_id(), device.device_id());
}

#[test]
fn every_field_of_a_device_changes_its_fingerprint() {
    let device = Device::new(1, Role::Agent).public;
    let both = Suites::from_bits(0b11).unwrap();
    let variants = [
        device,
        DevicePublic { role: Role::Owner, ..device },
        DevicePublic { suites: both, ..device },
        DevicePublic { max_message: device.max_message + 1, ..device },
        DevicePublic { identity_key: pattern(1), ..device },
        DevicePublic { agreement_key: pattern(1), ..device },
    ];
    let fingerprints: BTreeSet<_> = variants.iter().map(DevicePublic::fingerprint).collect();
    assert_eq!(fingerprints.len(), variants.len());
}

#[test]
fn a_device_of_another_version_role_suite_or_size_is_refused() {
    let genuine = Device::new(1, Role::Agent).public.to_bytes();
    assert!(DevicePublic::from_bytes(&genuine).is_ok());
    let with = |position: usize, bytes: &[u8]| {
        let mut changed = genuine;
        changed[position..position + bytes.len()].copy_from_slice(bytes);
        DevicePublic::from_bytes(&changed)
    };
    for version in (0..=u8::MAX).filter(|version| *version != 1) {
        assert_eq!(with(0, &[version]), Err(DecodeError));
    }
    for role in (0..=u8::MAX).filter(|role| *role != 1 && *role != 2) {
        assert_eq!(with(1, &[role]), Err(DecodeError));
        assert_eq!(Role::from_byte(role), Err(DecodeError));
    }
    assert_eq!(with(2, &0_u32.to_be_bytes()), Err(DecodeError));
    for bit in 4..32 {
        assert_eq!(with(2, &(1 | 1_u32 << bit).to_be_bytes()), Err(DecodeError), "suite bit {bit}");
    }
    assert_eq!(with(6, &(MIN_MAX_MESSAGE - 1).to_be_bytes()), Err(DecodeError));
    assert!(with(6, &MIN_MAX_MESSAGE.to_be_bytes()).is_ok());
}

#[test]
fn roles_and_suites_have_their_bytes() {
    for role in [Role::Owner, Role::Agent] {
        assert_eq!(Role::from_byte(role.byte()), Ok(role));
        assert_eq!(super::samples::encoded(&role), [role.byte()]);
    }
    assert_eq!(Suite::BY_STRENGTH.map(Suite::byte), [0x11, 0x12, 0x01, 0x02]);
    assert_eq!(Suite::BY_STRENGTH.map(|suite| suite.alone().bits()), [0b0100, 0b1000, 0b01, 0b10]);
    for suite in Suite::BY_STRENGTH {
        assert_eq!(Suite::from_byte(suite.byte()), Some(suite));
        assert_eq!(suite.has_kem(), suite.byte() & 0x10 != 0);
        assert_eq!(suite.with_kem().byte(), suite.byte() | 0x10);
        assert_eq!(suite.without_kem().byte(), suite.byte() & 0x0f);
    }
    assert_eq!([0x00, 0x03, 0x10, 0x13, 0xff].map(Suite::from_byte), [None; 5]);
}

#[test]
fn both_sides_choose_the_strongest_suite_that_both_have() {
    let sets = [0b0001, 0b0010, 0b0011, 0b1100, 0b1111].map(|bits| Suites::from_bits(bits).unwrap());
    let [xchacha, aes, both, post_quantum, all] = sets;
    assert_eq!(both.choose(both), Some(Suite::XChaCha20Poly1305));
    assert_eq!(both.choose(aes), Some(Suite::Aes256Gcm));
    assert_eq!(xchacha.choose(aes), None);
    assert_eq!(post_quantum.choose(all), Some(Suite::XChaCha20Poly1305MlKem768));
    assert_eq!(post_quantum.choose(both), None);
    for one in sets {
        for other in sets {
            assert_eq!(one.choose(other), other.choose(one));
        }
    }
}

#[test]
fn a_safety_number_is_the_same_for_both_and_follows_every_key() {
    let (one, other) = (Device::new(1, Role::Owner).public, Device::new(2, Role::Agent).public);
    let number = |one: &DevicePublic, other: &DevicePublic| {
        safety_number(&one.fingerprint(), &other.fingerprint()).to_string()
    };
    assert_eq!(number(&one, &other), number(&other, &one));
    let changed = [
        number(&one, &other),
        number(&DevicePublic { identity_key: pattern(1), ..one }, &other),
        number(&DevicePublic { agreement_key: pattern(1), ..one }, &other),
        number(&one, &DevicePublic { identity_key: pattern(1), ..other }),
        number(&one, &DevicePublic { agreement_key: pattern(1), ..other }),
        number(&one, &one),
    ];
    assert_eq!(changed.iter().collect::<BTreeSet<_>>().len(), changed.len());
}

#[test]
fn groups_are_eight_times_five_digits() {
    assert_eq!(Groups::of(&[0; 32]).to_string(), "00000 00000 00000 00000 00000 00000 00000 00000");
    // 2^32 - 1 = 4,294,967,295.
    assert_eq!(Groups::of(&[0xff; 32]).to_string(), "67295 67295 67295 67295 67295 67295 67295 67295");
    let mut words = [0; 32];
    words[3] = 7;
    words[28..].copy_from_slice(&100_001_u32.to_be_bytes());
    assert_eq!(Groups::of(&words).to_string(), "00007 00000 00000 00000 00000 00000 00000 00001");
}

#[test]
fn a_tenant_id_is_of_one_root() {
    let (one, other) = (Root::new(1), Root::new(2));
    assert_eq!(TenantId::of_root(&one.public()), one.tenant());
    assert_ne!(one.tenant(), other.tenant());
}

#[test]
fn ids_print_as_hex_and_take_their_length_only() {
    assert_eq!(DeviceId(pattern(0)).to_string(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!(format!("{:?}", DeviceId(pattern(0xf0))), "DeviceId(f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff)");
    for len in 0..40 {
        assert_eq!(DeviceId::from_slice(&pattern::<40>(0)[..len]).is_some(), len == DeviceId::LEN);
        assert_eq!(Fingerprint::from_slice(&pattern::<40>(0)[..len]).is_some(), len == Fingerprint::LEN);
    }
}

#[test]
fn a_message_id_follows_every_part_and_where_they_part() {
    let (tenant, one, other) = (TenantId(pattern(1)), DeviceId(pattern(2)), DeviceId(pattern(3)));
    let ids = [
        message_id(&tenant, &one, &other, b"header", b"body"),
        message_id(&TenantId(pattern(9)), &one, &other, b"header", b"body"),
        message_id(&tenant, &other, &one, b"header", b"body"),
        message_id(&tenant, &one, &other, b"headerb", b"ody"),
        message_id(&tenant, &one, &other, b"heade", b"rbody"),
        message_id(&tenant, &one, &other, b"header", b"bodies"),
        message_id(&tenant, &one, &other, b"headerbody", b""),
        message_id(&tenant, &one, &other, b"", b"headerbody"),
    ];
    assert_eq!(ids.iter().map(|id| id.0).collect::<BTreeSet<_>>().len(), ids.len());
    assert_eq!(ids[0], message_id(&tenant, &one, &other, b"header", b"body"));
}

#[test]
fn groups_are_read_back_however_they_were_typed() {
    for seed in 0..=u8::MAX {
        let groups = Groups::of(&pattern(seed));
        let shown = groups.to_string();
        for typed in [shown.clone(), shown.replace(' ', ""), shown.replace(' ', "-\n"), format!(" {shown}\t")]
        {
            assert_eq!(typed.parse(), Ok(groups), "{typed:?}");
        }
        // Whatever digit is mistyped, it is another number; whatever is no digit, none.
        for place in shown.match_indices(|symbol: char| symbol.is_ascii_digit()).map(|(place, _)| place) {
            for other in ('0'..='9').filter(|other| !shown[place..].starts_with(*other)) {
                let mut typed = shown.clone();
                typed.replace_range(place..=place, other.encode_utf8(&mut [0; 4]));
                assert!(typed.parse::<Groups>().is_ok_and(|parsed| parsed != groups));
            }
        }
    }
    let shown = Groups::of(&pattern(9)).to_string();
    for wrong in
        ["", "0", &shown[1..], &format!("{shown}0"), &shown.replace('0', "O"), &format!("+{shown}"), "٣"]
    {
        assert_eq!(wrong.parse::<Groups>(), Err(InvalidGroups), "{wrong:?}");
    }
}
