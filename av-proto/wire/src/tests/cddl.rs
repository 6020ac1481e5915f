//! `frame.cddl` says what the code does: names, numbers, fields in their order, and for every field which values
//! are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::cbor::Node;
use super::samples::{Tenant, encoded};
use crate::frame::{Fate, LinkKind, ToDevice, ToRelay};
use crate::{RefusalCode, RejectCode, Role};

/// The part of CDDL (RFC 8610) that `frame.cddl` uses.
#[derive(Debug)]
enum Type {
    Choice(Vec<Type>),
    Array(Vec<Entry>),
    Literal(u64),
    Uint {
        bytes: u32,
    },
    Bytes {
        min: u64,
        max: u64,
    },
    Text {
        min: u64,
        max: u64,
    },
    /// A byte string that holds one item of a rule.
    Embedded(String),
    Rule(String),
    Bool,
    Null,
}

#[derive(Debug)]
struct Entry {
    name: Option<String>,
    min: u64,
    max: u64,
    kind: Type,
}

struct Rules(BTreeMap<String, Type>);

struct Tokens {
    tokens: Vec<String>,
    next: usize,
}

impl Tokens {
    fn new(text: &str) -> Self {
        let mut tokens = Vec::new();
        for line in text.lines() {
            let line = line.split(';').next().unwrap();
            let spaced = ["[", "]", "(", ")", ",", ":", "=", "/", "*", ".."]
                .iter()
                .fold(line.to_string(), |line, mark| {
                    line.replace(mark, &std::format!(" {mark} "))
                });
            tokens.extend(spaced.split_whitespace().map(String::from));
        }
        Self { tokens, next: 0 }
    }

    fn peek(&self, ahead: usize) -> &str {
        self.tokens.get(self.next + ahead).map_or("", String::as_str)
    }

    fn take(&mut self) -> String {
        self.next += 1;
        self.tokens[self.next - 1].clone()
    }

    fn taken(&mut self, token: &str) -> bool {
        let is_next = self.peek(0) == token;
        self.next += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, token: &str) {
        assert!(self.taken(token), "{token:?} expected, not {:?}", self.peek(0));
    }

    fn number(&mut self) -> u64 {
        let token = self.take();
        token
            .parse()
            .unwrap_or_else(|_| panic!("a number expected, not {token:?}"))
    }

    fn kind(&mut self) -> Type {
        let mut choices = vec![self.single()];
        while self.taken("/") {
            choices.push(self.single());
        }
        if choices.len() == 1 {
            choices.remove(0)
        } else {
            Type::Choice(choices)
        }
    }

    fn single(&mut self) -> Type {
        if self.taken("[") {
            let mut entries = Vec::new();
            while !self.taken("]") {
                entries.push(self.entry());
                if self.peek(0) != "]" {
                    self.expect(",");
                }
            }
            return Type::Array(entries);
        }
        let token = self.take();
        match &*token {
            "bool" => Type::Bool,
            "null" => Type::Null,
            "uint" => {
                self.expect(".size");
                Type::Uint {
                    bytes: self.number() as u32,
                }
            }
            "bstr" if self.taken(".cbor") => Type::Embedded(self.take()),
            "bstr" => {
                let (min, max) = self.size();
                Type::Bytes { min, max }
            }
            "tstr" => {
                let (min, max) = self.size();
                Type::Text { min, max }
            }
            _ => token.parse().map_or(Type::Rule(token), Type::Literal),
        }
    }

    fn size(&mut self) -> (u64, u64) {
        if !self.taken(".size") {
            return (0, u64::MAX);
        }
        if !self.taken("(") {
            let size = self.number();
            return (size, size);
        }
        let min = self.number();
        self.expect("..");
        let max = self.number();
        self.expect(")");
        (min, max)
    }

    fn entry(&mut self) -> Entry {
        let (mut min, mut max) = (1, 1);
        if self.peek(1) == "*" {
            min = self.number();
            self.expect("*");
            max = self.number();
        }
        let name = (self.peek(1) == ":").then(|| self.take());
        if name.is_some() {
            self.expect(":");
        }
        Entry {
            name,
            min,
            max,
            kind: self.kind(),
        }
    }
}

impl Rules {
    fn read() -> Self {
        let mut tokens = Tokens::new(include_str!("../frame.cddl"));
        let mut rules = BTreeMap::new();
        while !tokens.peek(0).is_empty() {
            let name = tokens.take();
            tokens.expect("=");
            assert!(
                rules.insert(name.clone(), tokens.kind()).is_none(),
                "{name} twice"
            );
        }
        Self(rules)
    }

    fn rule(&self, name: &str) -> &Type {
        self.0.get(name).unwrap_or_else(|| panic!("no rule {name}"))
    }

    /// Whether the item is of the type; `deep` also looks into embedded items.
    fn holds(&self, kind: &Type, node: &Node, deep: bool) -> bool {
        match (kind, node) {
            (Type::Choice(choices), _) => choices.iter().any(|choice| self.holds(choice, node, deep)),
            (Type::Rule(name), _) => self.holds(self.rule(name), node, deep),
            (Type::Embedded(name), Node::Bytes(bytes)) => {
                !deep || self.holds(self.rule(name), &Node::parse(bytes), deep)
            }
            (Type::Literal(wanted), Node::Uint(value)) => wanted == value,
            (Type::Uint { bytes: 8 }, Node::Uint(_)) => true,
            (Type::Uint { bytes }, Node::Uint(value)) => *value < 1 << (8 * bytes),
            (Type::Bytes { min, max }, Node::Bytes(bytes)) => (min..=max).contains(&&(bytes.len() as u64)),
            (Type::Text { min, max }, Node::Text(text)) => (min..=max).contains(&&(text.len() as u64)),
            (Type::Bool, Node::Bool(_)) | (Type::Null, Node::Null) => true,
            (Type::Array(entries), Node::Array(items)) => {
                let mut items = &items[..];
                for entry in entries {
                    let mut count = 0;
                    while count < entry.max
                        && items
                            .first()
                            .is_some_and(|item| self.holds(&entry.kind, item, deep))
                    {
                        items = &items[1..];
                        count += 1;
                    }
                    if count < entry.min {
                        return false;
                    }
                }
                items.is_empty()
            }
            _ => false,
        }
    }

    /// The names of a rule's fields.
    fn fields(&self, name: &str) -> Vec<&str> {
        let Type::Array(entries) = self.rule(name) else {
            panic!("{name} is no array")
        };
        entries.iter().filter_map(|entry| entry.name.as_deref()).collect()
    }

    /// The rules of one direction's frames, without its prefix.
    fn frames(&self, direction: &str) -> BTreeSet<&str> {
        self.0
            .keys()
            .filter_map(|name| name.strip_prefix(direction)?.strip_prefix('.'))
            .collect()
    }
}

fn frames(tenant: &Tenant) -> Vec<(&'static str, Node)> {
    let relay = tenant
        .to_relay()
        .into_iter()
        .map(|(name, frame)| (name, Node::parse(&encoded(&frame))));
    let device = tenant
        .to_device()
        .into_iter()
        .map(|(name, frame)| (name, Node::parse(&encoded(&frame))));
    relay
        .chain(device)
        .map(|(name, node)| (name.split('/').next().unwrap(), node))
        .collect()
}

#[test]
fn every_frame_and_what_it_embeds_is_as_its_rule_says() {
    let (rules, tenant) = (Rules::read(), Tenant::new());
    for (name, node) in frames(&tenant) {
        assert!(rules.holds(rules.rule(name), &node, true), "{name}");
        let (direction, _) = name.split_once('.').unwrap();
        for any in ["ToRelay", "ToDevice"] {
            assert_eq!(
                rules.holds(rules.rule(any), &node, true),
                any == direction,
                "{name} as {any}"
            );
        }
    }
    for prelude in [
        tenant.prelude(tenant.chain(4), Some(1)),
        tenant.prelude(vec![1; 16], None),
    ] {
        assert!(rules.holds(rules.rule("Prelude"), &Node::parse(&encoded(&prelude)), true));
    }
}

#[test]
fn every_frame_of_the_rules_was_shown_and_no_two_share_a_number() {
    let rules = Rules::read();
    let shown = frames(&Tenant::new());
    for direction in ["ToRelay", "ToDevice"] {
        let names = shown
            .iter()
            .filter_map(|(name, _)| name.strip_prefix(direction)?.strip_prefix('.'));
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
    assert_eq!(
        numbers.len(),
        rules.frames("ToRelay").len() + rules.frames("ToDevice").len()
    );
}

/// What the code takes in each field, and what the rule allows there, for values of every kind and at every bound.
#[test]
fn rules_and_code_take_the_same_values_in_every_field() {
    let (rules, mut compared) = (Rules::read(), (0, 0));
    let mut values = vec![
        Node::Null,
        Node::Bool(true),
        Node::Text(String::from("x")),
        Node::Array(vec![]),
    ];
    let bounds = [
        0,
        1,
        2,
        3,
        4,
        5,
        11,
        12,
        0xff,
        0x100,
        0xffff,
        0x1_0000,
        0xffff_ffff,
        0x1_0000_0000,
        u64::MAX,
    ];
    values.extend(bounds.map(Node::Uint));
    values.extend([0, 15, 16, 17, 31, 32, 33, 63, 64, 65].map(|len| Node::Bytes(vec![7; len])));
    for (name, node) in frames(&Tenant::new()) {
        let Node::Array(items) = node else {
            panic!("{name} is no array")
        };
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
                if is_taken {
                    compared.0 += 1
                } else {
                    compared.1 += 1
                }
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
        assert_eq!(
            crate::decode::<LinkKind>(&bytes).is_ok(),
            allowed("LinkKind"),
            "{number}"
        );
        assert_eq!(crate::decode::<Role>(&bytes).is_ok(), allowed("Role"), "{number}");
        assert_eq!(
            crate::decode::<RefusalCode>(&bytes).is_ok(),
            allowed("RefusalCode"),
            "{number}"
        );
        assert_eq!(
            crate::decode::<RejectCode>(&bytes).is_ok(),
            allowed("RejectCode"),
            "{number}"
        );
        assert_eq!(crate::decode::<Fate>(&bytes).is_ok(), allowed("Fate"), "{number}");
    }
}

/// The names of the fields that the source declares behind `head`, up to the brace that closes them.
fn declared(source: &'static str, head: &str, indent: &str) -> Vec<&'static str> {
    let lines = source.lines().skip_while(|line| !line.starts_with(head)).skip(1);
    let closing = std::format!("{indent}}}");
    let fields = lines.take_while(|line| !line.starts_with(&closing));
    fields
        .filter_map(|line| {
            let line = line.strip_prefix(indent)?.strip_prefix("    ")?;
            let (name, _) = line.strip_prefix("pub ").unwrap_or(line).split_once(": ")?;
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                .then_some(name)
        })
        .collect()
}

#[test]
fn fields_have_the_names_of_the_code_in_its_order() {
    let rules = Rules::read();
    let source = include_str!("../frame.rs");
    let (relay, device) = source.split_at(source.find("pub enum ToDevice").unwrap());
    for (direction, source) in [("ToRelay", relay), ("ToDevice", device)] {
        for frame in rules.frames(direction) {
            let fields = rules.fields(&std::format!("{direction}.{frame}"));
            let head = std::format!("    {frame} {{");
            assert_eq!(declared(source, &head, "    "), fields, "{direction}.{frame}");
        }
    }
    for (name, source) in [
        ("EnrollRequest", include_str!("../enroll.rs")),
        ("Grant", include_str!("../grant.rs")),
        ("OwnerSerial", include_str!("../grant.rs")),
        ("Bundle", include_str!("../bundle.rs")),
        ("SignedPrekey", include_str!("../bundle.rs")),
        ("Prelude", include_str!("../message.rs")),
        ("Rejected", source),
    ] {
        let fields = rules.fields(name);
        assert!(!fields.is_empty());
        assert_eq!(
            declared(source, &std::format!("pub struct {name}"), ""),
            fields,
            "{name}"
        );
    }
}
