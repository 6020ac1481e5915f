"""Writes session.txt: one X3DH handshake and four messages, computed from PROTOCOL.md sections 6 and 7 apart from
the crates, with hashlib, hmac and the `cryptography` package (X25519, Ed25519, ChaCha20-Poly1305).

    python3 session.py > session.txt

Random bytes are counted: the initiator's generator gives 0x00, 0x01, 0x02 and so on, the responder's begins at 0x80.
Draws: initiator EK 32, ratchet key 32, nonce 24, nonce 24, then ratchet key 32, nonce 24; responder ratchet key 32,
nonce 24.
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

u32 = lambda value: struct.pack(">I", value)


def h256(tag, data):
    return hashlib.blake2b(data, person=tag, digest_size=32).digest()


def hmac512(key, data):
    return hmac.new(key, data, hashlib.sha512).digest()


def kdf(salt, ikm, info, length):
    prk, okm, block = hmac512(salt, ikm), b"", b""
    while len(okm) < length:
        block = hmac512(prk, block + info + bytes([len(okm) // 64 + 1]))
        okm += block
    return [okm[at : at + 32] for at in range(0, length, 32)]


def dh(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


def public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def xchacha_seal(key, nonce, ad, text):
    """draft-irtf-cfrg-xchacha-03: HChaCha20 over the first 16 bytes of the nonce, then RFC 8439."""
    state = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", nonce[:16]))

    def quarter(a, b, c, d):
        for first, second, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[first] = (state[first] + state[second]) & 0xFFFFFFFF
            mixed = state[third] ^ state[first]
            state[third] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for diagonal in range(4):
            quarter(diagonal, (diagonal + 1) % 4 + 4, (diagonal + 2) % 4 + 8, (diagonal + 3) % 4 + 12)
    subkey = struct.pack("<8I", *(state[:4] + state[12:]))
    return ChaCha20Poly1305(subkey).encrypt(bytes(4) + nonce[16:], text, ad)


class Counted:
    def __init__(self, start):
        self.next = start

    def take(self, count):
        drawn = bytes((self.next + at) % 256 for at in range(count))
        self.next += count
        return drawn


class Side:
    """What one side sends with: ratchet secret, chain key, header key, the next header key, PN and N."""

    def step(self, root, random, peer_key, header):
        self.secret, self.previous, self.number = random.take(32), getattr(self, "number", 0), 0
        root, self.chain, next_header = kdf(root, dh(self.secret, peer_key), b"AV1 root", 96)
        self.header, self.next_header = header, next_header
        return root

    def send(self, th, random, prelude, kind, body, block):
        step = hmac512(self.chain, b"AV1 chain" + b"\x01")
        self.chain, message_key = step[:32], step[32:]
        prefix = bytes([2, 1]) + struct.pack(">H", len(prelude)) + prelude if prelude else bytes([1, 1])
        nonce = random.take(24)
        header = public(self.secret) + u32(self.previous) + u32(self.number)
        blob = prefix + nonce + xchacha_seal(self.header, nonce, th + prefix, header)
        plain = bytes([kind]) + body + b"\x80"
        plain += bytes(-len(plain) % block)
        self.number += 1
        return blob, xchacha_seal(message_key, nonce, th + blob, plain)


def device(role, seed, agreement):
    signing = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return bytes([1, role]) + u32(1) + u32(4096) + signing + public(agreement)


a_seed, a_agreement = b"\x02" * 32, b"\xa2" * 32
b_seed, b_agreement = b"\x05" * 32, b"\xb5" * 32
signed, one_time, psk = b"\xc1" * 32, b"\xc4" * 32, b"\xd5" * 32
tenant, generation, signed_id, one_time_id = b"\x7e" * 16, 3, 300, 70_000
a_device, b_device = device(1, a_seed, a_agreement), device(2, b_seed, b_agreement)
a_random, b_random = Counted(0x00), Counted(0x80)
ephemeral = a_random.take(32)

th = h256(
    b"av1 x3dh",
    bytes([1, 1]) + u32(generation) + tenant + h256(b"av1 device", a_device) + h256(b"av1 device", b_device)
    + public(ephemeral) + u32(signed_id) + public(signed) + b"\x01" + u32(one_time_id) + public(one_time) + b"\x00",
)
ikm = (
    b"\xff" * 32 + dh(a_agreement, public(b_agreement)) + dh(a_agreement, public(signed))
    + dh(ephemeral, public(b_agreement)) + dh(ephemeral, public(signed)) + dh(ephemeral, public(one_time))
    + bytes(32) + psk
)
root, a_header, b_header = kdf(th, ikm, b"AV1 x3dh", 96)
# [gen, mode, EK, signed prekey id, one-time prekey id, null, null, initiator]
prelude = (
    b"\x88\x03\x01\x58\x20" + public(ephemeral) + b"\x19\x01\x2c" + b"\x1a\x00\x01\x11\x70" + b"\xf6\xf6"
    + b"\x50" + b"sixteen bytes id"
)

print("# X3DH with psk and one-time key, and the first messages of its session (PROTOCOL.md sections 6 and 7), suite")
print("# 0x01, one \"name = value\" a line, bytes in hex. Written by session.py, which says what was computed with.")
print()
for name in ("a_seed", "a_agreement", "a_device", "b_seed", "b_agreement", "b_device", "signed", "one_time", "psk", "tenant"):
    print(f"{name} = {globals()[name].hex()}")
for name, value in (("th", th), ("ikm", ikm), ("SK", root), ("HK_A", a_header), ("NHK_B", b_header)):
    print(f"{name} = {value.hex()}")
a, b = Side(), Side()
root = a.step(root, a_random, public(signed), a_header)
messages = [a.send(th, a_random, prelude, 1, b"first", 32), a.send(th, a_random, prelude, 2, b"", 1)]
root = b.step(root, b_random, public(a.secret), b_header)
messages.append(b.send(th, b_random, b"", 1, b"reply", 64))
root = a.step(root, a_random, public(b.secret), a.next_header)
messages.append(a.send(th, a_random, b"", 1, b"a step with PN 2", 32))
for index, (blob, ciphertext) in enumerate(messages):
    print(f"message {index} header_blob = {blob.hex()}")
    print(f"message {index} ciphertext = {ciphertext.hex()}")
