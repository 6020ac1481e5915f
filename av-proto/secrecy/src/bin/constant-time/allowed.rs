//! Branches that depend on a secret and are allowed to: each reason with the lines of source that decide. A line is named
//! by what it says, not by its number.

/// Why what a branch tells is no secret, and where such branches are.
pub(crate) struct Allowed {
    /// Why.
    pub(crate) reason: &'static str,
    /// How the path of the file ends, without the version of its crate, and a part of the line.
    pub(crate) lines: &'static [(&'static str, &'static str)],
}

/// All of them. One that no operation needs makes the run fail, so that none outlives its reason.
pub(crate) const ALLOWED: &[Allowed] = &[
    Allowed {
        reason: "whether a tag verifies is the answer, and the sender of a forgery learns it by the silence",
        lines: &[
            ("chacha20poly1305/src/cipher.rs", "self.mac.verify(tag)"),
            ("aes-gcm/src/lib.rs", ".ct_eq(tag).into()"),
            ("av-proto/src/ratchet/header.rs", "A::open("),
            ("av-proto/src/ratchet/decrypt.rs", "match A::open("),
            ("av-proto/link/src/cipher.rs", "opened.map_err("),
            ("av-proto/src/record/seal.rs", "XChaCha20Poly1305::open("),
        ],
    },
    Allowed {
        reason: "whether a peer's key is of small order is the peer's doing, and ends the handshake",
        lines: &[
            ("av-proto/src/crypto/dh.rs", "was_contributory()"),
            ("av-proto/src/x3dh/initiator.rs", "agree("),
            ("av-proto/src/x3dh/responder.rs", "agree("),
            ("av-proto/link/src/handshake.rs", "was_contributory()"),
        ],
    },
    Allowed {
        reason: "counts of a header that verified: a gap costs the steps over it, and its length shows in time",
        lines: &[
            ("av-proto/src/ratchet/decrypt.rs", "header.number >= MAX_CHAIN_MESSAGES"),
            ("av-proto/src/ratchet/decrypt.rs", "header.ratchet != current.ratchet"),
            ("av-proto/src/ratchet/decrypt.rs", "header.number.checked_sub("),
            ("av-proto/src/ratchet/decrypt.rs", "header.previous.checked_sub("),
            ("av-proto/src/ratchet/decrypt.rs", "ended > 0"),
            ("av-proto/src/ratchet/decrypt.rs", "check_missing("),
            ("av-proto/src/ratchet/chain.rs", "in 0..count"),
            ("av-proto/src/ratchet/skipped.rs", "skipped.number == number"),
        ],
    },
    Allowed {
        reason: "the length of a text that verified, which the application is told",
        lines: &[
            ("av-proto/src/ratchet/padding.rs", "rposition(|byte| *byte != 0)"),
            ("av-proto/src/ratchet/padding.rs", "Some(&END)"),
        ],
    },
    Allowed {
        reason: "FIPS 203's rejection sampling of the matrix from rho, which is part of the public key",
        lines: &[
            ("ml-kem/src/algebra.rs", "if d1 < BaseField::Q"),
            ("ml-kem/src/algebra.rs", "if d2 < BaseField::Q"),
        ],
    },
    Allowed {
        reason: "which characters of a typed text separate, and whether it was mistyped: not what its symbols are",
        lines: &[
            ("av-proto/src/crockford.rs", "is_whitespace()"),
            ("av-proto/src/crockford.rs", "count == SYMBOLS"),
            ("av-proto/src/crockford.rs", "zip(characters)"),
            ("av-proto/src/crockford.rs", "!is_symbol"),
            ("av-proto/src/crockford.rs", "ct_eq(&*values)"),
            ("av-proto/src/invite.rs", "crockford::parse"),
            ("av-proto/src/enroll/root.rs", "crockford::parse"),
            ("av-proto/src/enroll/root.rs", "RecoveryKeyError)?"),
        ],
    },
    Allowed {
        reason: "the name that a device proposes, once its seal has verified: the owner is shown it",
        lines: &[
            ("av-proto/src/invite/keys.rs", "rposition("),
            ("av-proto/src/invite/keys.rs", "== SEPARATOR"),
            ("av-proto/src/invite/keys.rs", "Some(&END)"),
            ("av-proto/src/invite/keys.rs", "is_control()"),
            ("av-proto/src/invite/keys.rs", "from_utf8("),
            ("av-proto/src/invite/keys.rs", "is_plain(text)"),
        ],
    },
];

impl Allowed {
    /// Whether this is about a line of source, in a file with this path.
    pub(crate) fn covers(&self, path: &str, line: &str) -> bool {
        let path = without_versions(path);
        self.lines.iter().any(|(file, part)| path.ends_with(file) && line.contains(part))
    }
}

/// `…/crate-1.2.3/src/file.rs` as `…/crate/src/file.rs`: an update of a crate changes no reason.
fn without_versions(path: &str) -> String {
    let of = |part: &str| match part.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => name.to_owned(),
        _ => part.to_owned(),
    };
    path.split('/').map(of).collect::<Vec<_>>().join("/")
}
