"""Sections 2 and 4.4: DevicePublic, fingerprint, safety number, the recovery key."""

from typing import NamedTuple

from .primitives import (
    h128,
    h256,
    key_symbols,
    key_text,
    public_of_seed,
    read_key_text,
    require,
    uint,
    without_blanks,
    x25519_public,
)

OWNER, AGENT = 1, 2


class DevicePublic(NamedTuple):
    role: int
    suites: int
    max_message: int
    identity_key: bytes  # IKs, Ed25519
    agreement_key: bytes  # IKd, X25519


class Device(NamedTuple):
    """A device's own keys."""

    public: bytes
    identity_seed: bytes
    agreement_secret: bytes


def make_device(role: int, suites: int, max_message: int, identity_seed: bytes, agreement_secret: bytes) -> Device:
    keys = public_of_seed(identity_seed), x25519_public(agreement_secret)
    public = encode_device_public(DevicePublic(role, suites, max_message, *keys))
    return Device(public, identity_seed, agreement_secret)


def encode_device_public(device: DevicePublic) -> bytes:
    """Section 2: 74 bytes."""
    numbers = uint(1, 1) + uint(device.role, 1) + uint(device.suites, 4) + uint(device.max_message, 4)
    return numbers + device.identity_key + device.agreement_key


def read_device_public(data: bytes) -> DevicePublic:
    """Section 2; the set of suites after section 1."""
    require(len(data) == 74, "device: length")
    require(data[0] == 1, "device: version")
    require(data[1] in (OWNER, AGENT), "device: role")
    suites, max_message = int.from_bytes(data[2:6], "big"), int.from_bytes(data[6:10], "big")
    require(suites != 0 and suites < 16, "device: suites")
    require(max_message >= 4096, "device: max_message")
    return DevicePublic(data[1], suites, max_message, data[10:42], data[42:74])


def fingerprint(device_public: bytes) -> bytes:
    """Section 2."""
    return h256("av1 device", device_public)


def device_id(device_public: bytes) -> bytes:
    """Section 2."""
    return fingerprint(device_public)[:16]


def groups(hash_: bytes) -> str:
    """Section 2: 8 groups of 5 digits."""
    return " ".join(f"{int.from_bytes(hash_[i : i + 4], 'big') % 100_000:05}" for i in range(0, 32, 4))


def read_groups(text: str) -> str:
    """Section 2: readers forgive blanks, line breaks and dashes between digits."""
    digits = without_blanks(text)
    require(len(digits) == 40 and digits.isascii() and digits.isdigit(), "groups: not 40 digits")
    return " ".join(digits[i : i + 5] for i in range(0, 40, 5))


def safety_number(fingerprint_a: bytes, fingerprint_b: bytes) -> str:
    """Section 2."""
    return groups(h256("av1 safety", b"".join(sorted([fingerprint_a, fingerprint_b]))))


def recovery_text(seed: bytes) -> str:
    """Section 4.4."""
    return key_text("avr1", key_symbols(seed, "av1 recovery", 24))


def read_recovery_text(text: str) -> bytes:
    """Section 4.4."""
    return read_key_text(text, "avr1", 32, "av1 recovery", 24)


def tenant_id(root_public: bytes) -> bytes:
    """Section 4.4."""
    return h128("av1 tenant", root_public)


def key_id(public: bytes) -> bytes:
    """Section 4.6."""
    return h128("av1 keyid", public)


def api_key_text(seed: bytes, tenant: bytes) -> str:
    """Section 4.6."""
    return key_text("avk1", key_symbols(seed + tenant, "av1 apikey", 16))


def read_api_key_text(text: str) -> tuple[bytes, bytes]:
    """Section 4.6: seed and tenant_id."""
    key = read_key_text(text, "avk1", 48, "av1 apikey", 16)
    return key[:32], key[32:]
