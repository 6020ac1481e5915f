"""Section 9, The Noise link: Noise_NK_25519_ChaChaPoly_BLAKE2b (Noise, revision 34), both roles."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .primitives import Refused, dh, require, signed_message, uint, with_length, x25519_public

PROTOCOL_NAME = b"Noise_NK_25519_ChaChaPoly_BLAKE2b"
MOST_MESSAGES = 2**32


class Handshake(NamedTuple):
    """Noise's SymmetricState: its hash, chaining key and cipher key. Each handshake key seals one text, with nonce 0."""

    hash: bytes
    chaining_key: bytes
    key: bytes


@dataclass
class Link:
    """A finished handshake: the whole hash, and a key and a count for each direction."""

    hash: bytes
    send_key: bytes
    receive_key: bytes
    sent: int = 0
    received: int = 0


def channel(link: Link) -> bytes:
    """Section 9: the first 32 of the hash's 64 bytes."""
    return link.hash[:32]


def prologue(origin: str) -> bytes:
    return b"AV1 link" + origin.encode()


def blake2b(x: bytes) -> bytes:
    return hashlib.blake2b(x).digest()


def noise_hkdf(chaining_key: bytes, ikm: bytes) -> tuple[bytes, bytes]:
    """Noise, section 4.3, two outputs."""
    temporary = hmac.digest(chaining_key, ikm, "blake2b")
    first = hmac.digest(temporary, b"\x01", "blake2b")
    return first, hmac.digest(temporary, first + b"\x02", "blake2b")


def cipher_seal(key: bytes, count: int, ad: bytes, plain: bytes) -> bytes:
    """Noise, section 12.3: the nonce is 4 zero bytes and the count, little-endian."""
    return ChaCha20Poly1305(key).encrypt(bytes(4) + count.to_bytes(8, "little"), plain, ad)


def cipher_open(key: bytes, count: int, ad: bytes, sealed: bytes) -> bytes:
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(4) + count.to_bytes(8, "little"), sealed, ad)
    except InvalidTag:
        raise Refused("link: does not open") from None


def mix_hash(state: Handshake, x: bytes) -> Handshake:
    return state._replace(hash=blake2b(state.hash + x))


def mix_key(state: Handshake, ikm: bytes) -> Handshake:
    chaining_key, key = noise_hkdf(state.chaining_key, ikm)
    return state._replace(chaining_key=chaining_key, key=key[:32])


def start(prologue_: bytes, link_key: bytes) -> Handshake:
    """Noise, section 5.3 Initialize, with NK's pre-message: the responder's static key. The name has at most 64 bytes."""
    hash_ = PROTOCOL_NAME.ljust(64, b"\0")
    return mix_hash(mix_hash(Handshake(hash_, hash_, b""), prologue_), link_key)


def seal_payload(state: Handshake, payload: bytes) -> tuple[Handshake, bytes]:
    sealed = cipher_seal(state.key, 0, state.hash, payload)
    return mix_hash(state, sealed), sealed


def open_payload(state: Handshake, sealed: bytes) -> tuple[Handshake, bytes]:
    payload = cipher_open(state.key, 0, state.hash, sealed)
    return mix_hash(state, sealed), payload


def initiate(state: Handshake, ephemeral: bytes, link_key: bytes, payload: bytes = b"") -> tuple[Handshake, bytes]:
    """The device writes the first message: e, es."""
    public = x25519_public(ephemeral)
    state = mix_key(mix_hash(state, public), dh(ephemeral, link_key))
    state, sealed = seal_payload(state, payload)
    return state, public + sealed


def respond(
    state: Handshake, message: bytes, static: bytes, ephemeral: bytes, payload: bytes = b""
) -> tuple[Link, bytes, bytes]:
    """The relay reads e, es and writes e, ee. Returns the link, its message and the device's payload."""
    require(len(message) >= 48, "link: length")
    state = mix_key(mix_hash(state, message[:32]), dh(static, message[:32]))
    state, received = open_payload(state, message[32:])
    public = x25519_public(ephemeral)
    state = mix_key(mix_hash(state, public), dh(ephemeral, message[:32]))
    state, sealed = seal_payload(state, payload)
    to_relay, to_device = noise_hkdf(state.chaining_key, b"")
    return Link(state.hash, to_device[:32], to_relay[:32]), public + sealed, received


def finish(state: Handshake, message: bytes, ephemeral: bytes) -> tuple[Link, bytes]:
    """The device reads e, ee. Returns the link and the relay's payload."""
    require(len(message) >= 48, "link: length")
    state = mix_key(mix_hash(state, message[:32]), dh(ephemeral, message[:32]))
    state, received = open_payload(state, message[32:])
    to_relay, to_device = noise_hkdf(state.chaining_key, b"")
    return Link(state.hash, to_relay[:32], to_device[:32]), received


def respond_av1(origin: str, message: bytes, static: bytes, ephemeral: bytes) -> tuple[Link, bytes]:
    """Section 9: a handshake message of AV/1 has 48 bytes."""
    require(len(message) == 48, "link: length")
    link, answer, _ = respond(start(prologue(origin), x25519_public(static)), message, static, ephemeral)
    return link, answer


def finish_av1(state: Handshake, message: bytes, ephemeral: bytes) -> Link:
    """Section 9: a handshake message of AV/1 has 48 bytes."""
    require(len(message) == 48, "link: length")
    return finish(state, message, ephemeral)[0]


def seal_frame(link: Link, frame: bytes) -> bytes:
    """Section 9: one frame a transport message, at most 65,535 bytes; 2^32 of them in one direction."""
    require(link.sent < MOST_MESSAGES and len(frame) + 16 <= 65_535, "link: at its end, or too large a frame")
    sealed = cipher_seal(link.send_key, link.sent, b"", frame)
    link.sent += 1
    return sealed


def open_frame(link: Link, message: bytes) -> bytes:
    """Section 9. The connection ends at a message that does not open."""
    require(link.received < MOST_MESSAGES, "link: at its end")
    require(16 <= len(message) <= 65_535, "link: length")
    frame = cipher_open(link.receive_key, link.received, b"", message)
    link.received += 1
    return frame


def authenticate_message(link_kind: int, channel_: bytes, tenant_id: bytes, device_id: bytes, origin: str) -> bytes:
    """Section 9, Authentication: what the device signs."""
    x = uint(link_kind, 1) + channel_ + tenant_id + device_id + with_length(origin.encode())
    return signed_message("auth", x)
