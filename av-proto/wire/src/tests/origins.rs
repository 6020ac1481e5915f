//! Origins: what a person may type, and what is refused before anything is signed.

use std::format;
use std::string::ToString;

use crate::Origin;
use crate::ids::InvalidOrigin;
use crate::limits::MAX_ORIGIN;

#[test]
fn origins_are_read_and_spelled_in_one_way() {
    for (typed, text) in [
        ("wss://relay.example.org", "wss://relay.example.org"),
        ("WSS://Relay.Example.ORG:8443/", "wss://relay.example.org:8443"),
        ("ws://127.0.0.1:7460", "ws://127.0.0.1:7460"),
        ("ws://[::1]:1", "ws://[::1]:1"),
        ("ws://[2001:db8::1]", "ws://[2001:db8::1]"),
        ("ws://localhost:65535", "ws://localhost:65535"),
    ] {
        let origin = Origin::parse(typed).unwrap();
        assert_eq!(origin.as_str(), text);
        assert_eq!(origin.to_string(), text);
        assert_eq!(format!("{origin:?}"), format!("Origin({text})"));
        assert_eq!(origin.is_plain(), text.starts_with("ws://"));
        assert_eq!(origin.authority(), text.split_once("://").unwrap().1);
        assert_eq!(Origin::parse(origin.as_str()), Ok(origin));
    }
}

#[test]
fn loopback_is_told_by_the_text_alone() {
    for (host, is_loopback) in [
        ("localhost", true),
        ("LOCALHOST", true),
        ("127.0.0.1", true),
        ("127.255.255.254", true),
        ("[::1]", true),
        ("[0:0:0:0:0:0:0:1]", true),
        ("128.0.0.1", false),
        ("0.0.0.0", false),
        ("[::]", false),
        ("[::2]", false),
        ("127.0.0.1.example.org", false),
        ("localhost.example.org", false),
        ("127.1", false),
    ] {
        for origin in [format!("ws://{host}"), format!("wss://{host}:7460")] {
            assert_eq!(Origin::parse(&origin).unwrap().is_loopback(), is_loopback, "{origin}");
        }
    }
}

#[test]
fn anything_else_is_refused() {
    for typed in [
        "",
        "/",
        "relay.example.org",
        "http://relay.example.org",
        "https://relay.example.org",
        "ws:relay",
        "ws://",
        "ws:///",
        "ws://:80",
        "ws://host:",
        "ws://host:0",
        "ws://host:080",
        "ws://host:+80",
        "ws://host:65536",
        "ws://host:port",
        "ws://host:1:2",
        "ws://host//",
        "ws://host/path",
        "ws://host?query",
        "ws://host#fragment",
        "ws://user@host",
        "ws://ho st",
        " ws://host",
        "ws://host\n",
        "ws://höst",
        "ws://::1",
        "ws://[::1",
        "ws://[::1]x",
        "ws://[::1]:",
        "ws://[]",
        "ws://[host]",
        "ws://]",
        "ws://host\0",
    ] {
        assert_eq!(Origin::parse(typed), Err(InvalidOrigin), "{typed:?}");
    }
}

#[test]
fn the_longest_origin_is_taken_and_one_more_byte_is_not() {
    let host = |len: usize| format!("ws://{}", "a".repeat(len));
    assert!(Origin::parse(&host(MAX_ORIGIN - 5)).is_ok());
    assert_eq!(Origin::parse(&host(MAX_ORIGIN - 4)), Err(InvalidOrigin));
}
