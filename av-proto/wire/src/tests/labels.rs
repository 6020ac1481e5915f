//! Labels keep purposes apart: one table, no two alike, and nothing signed for one purpose verifies for another.

use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;

use super::samples::{Device, Tenant};
use crate::labels::SignaturePurpose;
use crate::public::Role;
use crate::signature::{InvalidSignature, SignedKind, Unverified, signed_message, verify};

/// Every byte string literal of the table's source with the module it stands in, so that a label added later is
/// held to the same.
fn table() -> Vec<(&'static str, &'static str)> {
    let mut module = "signature";
    let mut labels = Vec::new();
    for line in include_str!("../labels.rs").lines() {
        if let Some(name) = line.strip_prefix("pub mod ") {
            module = name.trim_end_matches(" {");
        } else if line == "}" {
            module = "signature";
        }
        if let Some((_, rest)) = line.split_once("b\"") {
            labels.push((module, rest.split_once('"').unwrap().0));
        }
    }
    labels
}

#[test]
fn no_two_labels_are_alike_and_none_holds_a_nul() {
    let labels = table();
    assert!(labels.len() >= 26, "the table was read: {labels:?}");
    let distinct: BTreeSet<_> = labels.iter().map(|(_, label)| label).collect();
    assert_eq!(distinct.len(), labels.len());
    for (_, label) in labels {
        assert!(label.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{label:?}");
        assert!(!label.contains('\\'), "an escape could hide a NUL: {label:?}");
    }
}

#[test]
fn personalisations_fit_into_16_bytes() {
    let personal: Vec<_> =
        table().into_iter().filter(|(module, _)| ["hash", "mac"].contains(module)).collect();
    assert!(personal.len() >= 12);
    for (_, label) in personal {
        assert!(label.len() <= 16 && label.starts_with("av1 "), "{label}");
    }
}

#[test]
fn no_key_derivation_label_begins_another() {
    // They are put before other bytes, where a prefix could be taken for the longer label.
    let labels: Vec<_> = table().into_iter().filter(|(module, _)| ["kdf", "seal"].contains(module)).collect();
    for (index, (_, one)) in labels.iter().enumerate() {
        for (_, other) in labels.iter().skip(index + 1) {
            assert!(!one.starts_with(other) && !other.starts_with(one), "{one:?} and {other:?}");
        }
    }
}

#[test]
fn every_purpose_of_the_table_is_listed() {
    let written = table().into_iter().filter(|(module, _)| *module == "signature");
    let written: BTreeSet<_> = written.map(|(_, tag)| String::from(tag)).collect();
    let tags = SignaturePurpose::ALL.map(|purpose| String::from_utf8(purpose.tag().to_vec()).unwrap());
    assert_eq!(tags.into_iter().collect::<BTreeSet<_>>(), written);
}

#[test]
fn a_signature_verifies_for_its_own_purpose_alone() {
    let device = Device::new(1, Role::Owner);
    let key = device.public.identity_key;
    for made in SignaturePurpose::ALL {
        let signature = device.sign(made, &[b"the same bytes"]);
        for asked in SignaturePurpose::ALL {
            let expected = if made == asked { Ok(()) } else { Err(InvalidSignature) };
            assert_eq!(
                verify(&key, asked, &[b"the same bytes"], &signature),
                expected,
                "{made:?} as {asked:?}"
            );
        }
    }
}

#[test]
fn no_signed_bytes_begin_those_of_another_purpose() {
    // The 0x00 behind the tag, which no tag contains, ends it.
    for one in SignaturePurpose::ALL {
        for other in SignaturePurpose::ALL.into_iter().filter(|other| *other != one) {
            let one = signed_message(one, &[]).unwrap();
            assert!(!signed_message(other, &[b"x"]).unwrap().starts_with(&one));
        }
    }
}

#[test]
fn a_signed_object_is_of_no_other_kind() {
    let tenant = Tenant::new();
    let signed = tenant.certs(1).remove(0);
    let object = Unverified::decode(&signed).unwrap();
    let key = tenant.root.public();
    assert_eq!(object.verify(&key), Ok(()));
    for kind in [SignedKind::Revocation, SignedKind::Suspension, SignedKind::Resumption] {
        assert_eq!(Unverified { kind, ..object }.verify(&key), Err(InvalidSignature));
    }
}

#[test]
fn the_specification_lists_these_labels_and_no_other() {
    let specification = include_str!("../../../PROTOCOL.md");
    let (_, rest) = specification.split_once("### Labels").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let cells =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |")).map(|(cell, _)| cell);
    let specified: Vec<_> =
        cells.flat_map(|cell| cell.split('`')).filter(|label| !label.trim().is_empty()).collect();
    let written: Vec<_> = table().into_iter().map(|(_, label)| label).collect();
    assert_eq!(specified.iter().collect::<BTreeSet<_>>(), written.iter().collect::<BTreeSet<_>>());
    assert_eq!(specified.len(), written.len(), "none is listed twice");
}
