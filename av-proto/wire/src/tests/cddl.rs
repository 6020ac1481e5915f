//! `frame.cddl` says what the code does: names, numbers, fields in their order, and for every field which values
//! are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::vec;
use std::vec::Vec;

mod grammar;

use self::grammar::Rules;
use super::cbor::Node;
use super::samples::{Tenant, encoded};
use crate::frame::{Fate, LinkKind, ToDevice, ToRelay};
use crate::{RefusalCode, RejectCode, Role};

fn frames(tenant: &Tenant) -> Vec<(&'static str, Node)> {
    let relay = tenant.to_relay().into_iter().map(|(name, frame)| (name, Node::parse(&encoded(&frame))));
    let device = tenant.to_device().into_iter().map(|(name, frame)| (name, Node::parse(&encoded(&frame))));
    relay.chain(device).map(|(name, node)| (name.split('/').next().unwrap(), node)).collect()
}

#[test]
fn every_frame_and_what_it_embeds_is_as_its_rule_says() {
    let (rules, tenant) = (Rules::read(), Tenant::new());
    for (name, node) in frames(&tenant) {
        assert!(rules.holds(rules.rule(name), &node, true), "{name}");
        let (direction, _) = name.split_once('.').unwrap();
        for any in ["ToRelay", "ToDevice"] {
            assert_eq!(rules.holds(rules.rule(any), &node, true), any == direction, "{name} as {any}");
        }
    }
    for prelude in [tenant.prelude(tenant.chain(4), Some(1)), tenant.prelude(vec![1; 16], None)] {
        assert!(rules.holds(rules.rule("Prelude"), &Node::parse(&encoded(&prelude)), true));
    }
}

#[test]
fn every_frame_of_the_rules_was_shown_and_no_two_share_a_number() {
    let rules = Rules::read();
    let shown = frames(&Tenant::new());
    for direction in ["ToRelay", "ToDevice"] {
        let names = shown.iter().filter_map(|(name, _)| name.strip_prefix(direction)?.strip_prefix('.'));
        assert_eq!(names.collect::<BTreeSet<_>>(), rules.frames(direction));
    }
    let numbers: BTreeMap<_, _> = shown
        .iter()
        .map(|(name, node)| match node {
            Node::Array(items) => match items[0] {
                Node::Uint(number) => (number, *name),
                _ => panic!("{name} is led by no number"),
            },
            _ => panic!("{name} is no array"),
        })
        .collect();
    assert_eq!(numbers.len(), rules.frames("ToRelay").len() + rules.frames("ToDevice").len());
}

/// What the code takes in each field, and what the rule allows there, for values of every kind and at every bound.
#[test]
fn rules_and_code_take_the_same_values_in_every_field() {
    let (rules, mut compared) = (Rules::read(), (0, 0));
    let mut values = vec![Node::Null, Node::Bool(true), Node::Text(String::from("x")), Node::Array(vec![])];
    let bounds =
        [0, 1, 2, 3, 4, 5, 11, 12, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
    values.extend(bounds.map(Node::Uint));
    values.extend([0, 15, 16, 17, 31, 32, 33, 63, 64, 65].map(|len| Node::Bytes(vec![7; len])));
    for (name, node) in frames(&Tenant::new()) {
        let Node::Array(items) = node else { panic!("{name} is no array") };
        for field in 1..items.len() {
            for value in &values {
                let mut changed = items.clone();
                changed[field] = value.clone();
                let changed = Node::Array(changed);
                let bytes = changed.to_bytes();
                let is_taken = match name.split_once('.').unwrap().0 {
                    "ToRelay" => crate::decode::<ToRelay<'_>>(&bytes).is_ok(),
                    _ => crate::decode::<ToDevice<'_>>(&bytes).is_ok(),
                };
                let is_allowed = rules.holds(rules.rule(name), &changed, false);
                assert_eq!(is_taken, is_allowed, "{name}, field {field}: {value:?}");
                if is_taken { compared.0 += 1 } else { compared.1 += 1 }
            }
        }
    }
    assert!(compared.0 > 100 && compared.1 > 100, "{compared:?}");
}

#[test]
fn codes_and_kinds_are_the_numbers_of_the_rules() {
    let rules = Rules::read();
    for number in 0..24_u8 {
        let allowed = |name: &str| rules.holds(rules.rule(name), &Node::Uint(number.into()), true);
        let bytes = [number];
        assert_eq!(crate::decode::<LinkKind>(&bytes).is_ok(), allowed("LinkKind"), "{number}");
        assert_eq!(crate::decode::<Role>(&bytes).is_ok(), allowed("Role"), "{number}");
        assert_eq!(crate::decode::<RefusalCode>(&bytes).is_ok(), allowed("RefusalCode"), "{number}");
        assert_eq!(crate::decode::<RejectCode>(&bytes).is_ok(), allowed("RejectCode"), "{number}");
        assert_eq!(crate::decode::<Fate>(&bytes).is_ok(), allowed("Fate"), "{number}");
    }
}

/// The names of the fields that the source declares behind `head`, up to the brace that closes them.
fn declared(source: &'static str, head: &str, indent: &str) -> Vec<&'static str> {
    let lines = source.lines().skip_while(|line| !line.contains(head)).skip(1);
    let closing = std::format!("{indent}}}");
    let fields = lines.take_while(|line| !line.starts_with(&closing));
    fields
        .filter_map(|line| {
            let line = line.strip_prefix(indent)?.strip_prefix("    ")?;
            let (name, _) = line.strip_prefix("pub ").unwrap_or(line).split_once(": ")?;
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(name)
        })
        .collect()
}

#[test]
fn fields_have_the_names_of_the_code_in_its_order() {
    let rules = Rules::read();
    for (direction, source) in [
        ("ToRelay", include_str!("../frame/to_relay.rs")),
        ("ToDevice", include_str!("../frame/to_device.rs")),
    ] {
        for frame in rules.frames(direction) {
            let fields = rules.fields(&std::format!("{direction}.{frame}"));
            let head = std::format!("=> {frame} {{");
            assert_eq!(declared(source, &head, "        "), fields, "{direction}.{frame}");
        }
    }
    for (name, source) in [
        ("EnrollRequest", include_str!("../enroll.rs")),
        ("Grant", include_str!("../grant.rs")),
        ("OwnerSerial", include_str!("../grant.rs")),
        ("Bundle", include_str!("../bundle.rs")),
        ("SignedPrekey", include_str!("../bundle.rs")),
        ("SignedKemPrekey", include_str!("../bundle.rs")),
        ("Prelude", include_str!("../message.rs")),
        ("Rejected", include_str!("../frame.rs")),
    ] {
        let fields = rules.fields(name);
        assert!(!fields.is_empty());
        assert_eq!(declared(source, &std::format!("pub struct {name}"), "    "), fields, "{name}");
    }
}

#[test]
fn the_tables_of_the_specification_have_the_same_numbers() {
    let specification = include_str!("../../../PROTOCOL.md");
    let (_, frames_section) = specification.split_once("## 9. ").unwrap();
    let has_row = |row: &str| frames_section.lines().any(|line| line.starts_with(row));
    let mut pings = 0;
    for (name, node) in frames(&Tenant::new()) {
        let Node::Array(items) = &node else { panic!("{name} is no array") };
        let Node::Uint(number) = items[0] else { panic!("{name} is led by no number") };
        let (_, name) = name.split_once('.').unwrap();
        let row = match name {
            "Ping" => std::format!("| {number}, {} | Ping, Pong |", number + 1),
            "Pong" => std::format!("| {}, {number} | Ping, Pong |", number - 1),
            _ => std::format!("| {number} | {name} |"),
        };
        pings += usize::from(name == "Ping");
        assert!(has_row(&row), "{row}");
    }
    assert_eq!(pings, 2);
    for number in 0..24_u8 {
        if let Ok(code) = crate::decode::<RefusalCode>(&[number]) {
            assert!(has_row(&std::format!("| {number} | {code:?} |")), "{number} {code:?}");
        }
        if let Ok(code) = crate::decode::<RejectCode>(&[number]) {
            assert!(has_row(&std::format!("| {number} {code:?} |")), "{number} {code:?}");
        }
        if let Ok(fate) = crate::decode::<Fate>(&[number]) {
            assert!(frames_section.contains(&std::format!("| {number} {fate:?} |")), "{number} {fate:?}");
        }
    }
}
