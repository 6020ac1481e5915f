//! Reads `frame.cddl` and holds items to its rules.

use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use crate::tests::cbor::Node;

/// The part of CDDL (RFC 8610) that `frame.cddl` uses.
#[derive(Debug)]
pub(super) enum Type {
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
pub(super) struct Entry {
    name: Option<String>,
    min: u64,
    max: u64,
    kind: Type,
}

/// The rules of `frame.cddl` by name.
pub(super) struct Rules(BTreeMap<String, Type>);

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
                .fold(line.to_string(), |line, mark| line.replace(mark, &std::format!(" {mark} ")));
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
        token.parse().unwrap_or_else(|_| panic!("a number expected, not {token:?}"))
    }

    fn kind(&mut self) -> Type {
        let mut choices = vec![self.single()];
        while self.taken("/") {
            choices.push(self.single());
        }
        if choices.len() == 1 { choices.remove(0) } else { Type::Choice(choices) }
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
                Type::Uint { bytes: self.number() as u32 }
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
        Entry { name, min, max, kind: self.kind() }
    }
}

impl Rules {
    pub(super) fn read() -> Self {
        let mut tokens = Tokens::new(include_str!("../../frame.cddl"));
        let mut rules = BTreeMap::new();
        while !tokens.peek(0).is_empty() {
            let name = tokens.take();
            tokens.expect("=");
            assert!(rules.insert(name.clone(), tokens.kind()).is_none(), "{name} twice");
        }
        Self(rules)
    }

    pub(super) fn rule(&self, name: &str) -> &Type {
        self.0.get(name).unwrap_or_else(|| panic!("no rule {name}"))
    }

    /// Whether the item is of the type; `deep` also looks into embedded items.
    pub(super) fn holds(&self, kind: &Type, node: &Node, deep: bool) -> bool {
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
                        && items.first().is_some_and(|item| self.holds(&entry.kind, item, deep))
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
    pub(super) fn fields(&self, name: &str) -> Vec<&str> {
        let Type::Array(entries) = self.rule(name) else { panic!("{name} is no array") };
        entries.iter().filter_map(|entry| entry.name.as_deref()).collect()
    }

    /// The rules of one direction's frames, without its prefix.
    pub(super) fn frames(&self, direction: &str) -> BTreeSet<&str> {
        self.0.keys().filter_map(|name| name.strip_prefix(direction)?.strip_prefix('.')).collect()
    }
}
