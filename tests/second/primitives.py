"""Conventions and section 1: hashes, KDF, signatures, agreement, AEADs, and the symbols of texts."""

import hashlib
import hmac as hmac_module

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

XCHACHA, AES, XCHACHA_KEM, AES_KEM = 0x01, 0x02, 0x11, 0x12
SUITES_STRONGEST_FIRST = (XCHACHA_KEM, AES_KEM, XCHACHA, AES)
BIT_OF_SUITE = {XCHACHA: 0, AES: 1, XCHACHA_KEM: 2, AES_KEM: 3}


class Refused(Exception):
    """What was received is not AV/1, or not for us. Nothing has changed."""


def require(condition: bool, why: str) -> None:
    if not condition:
        raise Refused(why)


def uint(value: int, size: int) -> bytes:
    """u8 to u64 (Conventions): unsigned, big-endian."""
    return value.to_bytes(size, "big")


def with_length(field: bytes) -> bytes:
    """A field of variable length behind its length as u16 (Conventions)."""
    return uint(len(field), 2) + field


# Hashes (Conventions)


def h256(tag: str, x: bytes) -> bytes:
    return hashlib.blake2b(x, digest_size=32, person=tag.encode()).digest()


def h128(tag: str, x: bytes) -> bytes:
    return hashlib.blake2b(x, digest_size=16, person=tag.encode()).digest()


def mac(key: bytes, tag: str, x: bytes) -> bytes:
    return hashlib.blake2b(x, digest_size=32, key=key, person=tag.encode()).digest()


def same(a: bytes, b: bytes) -> bool:
    return hmac_module.compare_digest(a, b)


def kdf(salt: bytes, ikm: bytes, info: bytes, size: int) -> bytes:
    return HKDF(algorithm=hashes.SHA512(), length=size, salt=salt, info=info).derive(ikm)


def hmac_sha512(key: bytes, x: bytes) -> bytes:
    return hmac_module.digest(key, x, "sha512")


# Signatures (Conventions)

P = 2**255 - 19
ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER_Y = (0, 1, P - 1, ORDER_8_Y, P - ORDER_8_Y)


def public_of_seed(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def signed_message(tag: str, x: bytes) -> bytes:
    assert len(x) <= 1213
    return b"AV1 " + tag.encode() + b"\0" + x


def sign(seed: bytes, tag: str, x: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(signed_message(tag, x))


def is_strict_point(encoded: bytes) -> bool:
    """Verified strictly (Conventions): canonical and not of small order. With x = 0 both signs are of small order."""
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    return y < P and y not in SMALL_ORDER_Y


def verify(public: bytes, tag: str, x: bytes, signature: bytes) -> None:
    """OpenSSL checks S < L and compares R bytewise, without the cofactor; the rest stands here."""
    require(len(x) <= 1213, "signature: too long a message")
    require(len(signature) == 64, "signature: length")
    require(is_strict_point(public) and is_strict_point(signature[:32]), "signature: not a strict point")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed_message(tag, x))
    except InvalidSignature:
        raise Refused("signature: does not verify") from None


# Agreement (Conventions)


def x25519_public(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def dh(secret: bytes, public: bytes) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused("agreement: all-zero output") from None


# Suites and AEADs (section 1)


def has_kem(suite: int) -> bool:
    return suite in (XCHACHA_KEM, AES_KEM)


def nonce_size(suite: int) -> int:
    return 24 if suite in (XCHACHA, XCHACHA_KEM) else 12


def choose_suite(ours: int, theirs: int) -> int:
    """The strongest that both sets list."""
    for suite in SUITES_STRONGEST_FIRST:
        if ours & theirs & (1 << BIT_OF_SUITE[suite]):
            return suite
    raise Refused("suite: none in common")


def xchacha_seal(key: bytes, nonce: bytes, plain: bytes, ad: bytes) -> bytes:
    return crypto_aead_xchacha20poly1305_ietf_encrypt(plain, ad, nonce, key)


def xchacha_open(key: bytes, nonce: bytes, sealed: bytes, ad: bytes) -> bytes:
    require(len(sealed) >= 16, "seal: too short")
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, ad, nonce, key)
    except CryptoError:
        raise Refused("seal: does not open") from None


def seal(suite: int, key: bytes, nonce: bytes, plain: bytes, ad: bytes) -> bytes:
    if suite in (XCHACHA, XCHACHA_KEM):
        return xchacha_seal(key, nonce, plain, ad)
    return AESGCM(key).encrypt(nonce, plain, ad)


def open_seal(suite: int, key: bytes, nonce: bytes, sealed: bytes, ad: bytes) -> bytes:
    if suite in (XCHACHA, XCHACHA_KEM):
        return xchacha_open(key, nonce, sealed, ad)
    try:
        return AESGCM(key).decrypt(nonce, sealed, ad)
    except InvalidTag:
        raise Refused("seal: does not open") from None


# Texts of keys (sections 3 and 4.4)

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def without_blanks(text: str) -> str:
    """What readers skip: Unicode's white space, `-` and U+2010 to U+2015."""
    return "".join(c for c in text if not is_blank(c) and c != "-" and not "\u2010" <= c <= "\u2015")


def is_blank(c: str) -> bool:
    """Python takes U+001C to U+001F for white space, Unicode does not."""
    return c.isspace() and not "\x1c" <= c <= "\x1f"


def key_symbols(key: bytes, tag: str, checksum_bits: int) -> str:
    """key ‖ the first bits of H256(tag, key), as Crockford base32 symbols."""
    checksum = int.from_bytes(h256(tag, key), "big") >> (256 - checksum_bits)
    bits = int.from_bytes(key, "big") << checksum_bits | checksum
    count = (8 * len(key) + checksum_bits) // 5
    return "".join(CROCKFORD[bits >> 5 * place & 31] for place in reversed(range(count)))


def key_text(prefix: str, symbols: str) -> str:
    return "-".join([prefix] + [symbols[i : i + 4] for i in range(0, len(symbols), 4)])


def read_key_text(text: str, prefix: str, size: int, tag: str, checksum_bits: int) -> bytes:
    """Forgives case, blanks and dashes, and takes O for 0 and I and L for 1, in the prefix too, which may be missing."""
    symbols = without_blanks(text)
    require(symbols.isascii(), "text: not a symbol")
    symbols = symbols.upper().replace("O", "0").replace("I", "1").replace("L", "1")
    count = (8 * size + checksum_bits) // 5
    if len(symbols) == len(prefix) + count and symbols.startswith(prefix.upper()):
        symbols = symbols[len(prefix) :]
    require(len(symbols) == count, "text: number of symbols")
    bits = 0
    for symbol in symbols:
        require(symbol in CROCKFORD, "text: not a symbol")
        bits = bits << 5 | CROCKFORD.index(symbol)
    key = uint(bits >> checksum_bits, size)
    require(key_symbols(key, tag, checksum_bits) == symbols, "text: checksum")
    return key
