"""Section 5: prekey records, signed prekeys, bundles."""

from typing import NamedTuple

from . import cbor
from .identity import device_id
from .primitives import public_of_seed, require, sign, uint, verify

SIGNED, LAST_RESORT_KEM, ONE_TIME_KEM, ONE_TIME = 1, 2, 3, 4
KEM_KINDS = (LAST_RESORT_KEM, ONE_TIME_KEM)


class Prekey(NamedTuple):
    kind: int
    id: int
    created_at: int
    key: bytes


class Bundle(NamedTuple):
    signed: Prekey
    one_time: Prekey | None
    kem: Prekey | None


def sign_prekey(identity_seed: bytes, owner_public: bytes, prekey: Prekey) -> list[bytes]:
    """Section 5, SignedPrekey."""
    assert owner_public[10:42] == public_of_seed(identity_seed)
    record = uint(prekey.kind, 1) + uint(prekey.id, 4) + uint(prekey.created_at, 8) + prekey.key
    return [record, sign(identity_seed, "prekey", device_id(owner_public) + record)]


def read_prekey(signed: list[bytes], owner_public: bytes, kinds: tuple[int, ...]) -> Prekey:
    """Section 5: every prekey is verified before use."""
    record, signature = cbor.fields(signed, bytes, 64)
    require(len(record) > 13 and record[0] in kinds, "prekey: kind")
    require(len(record) == (1197 if record[0] in KEM_KINDS else 45), "prekey: length")
    verify(owner_public[10:42], "prekey", device_id(owner_public) + record, signature)
    return Prekey(record[0], int.from_bytes(record[1:5], "big"), int.from_bytes(record[5:13], "big"), record[13:])


def encode_bundle(signed: list[bytes], one_time: list[bytes] | None, kem: list[bytes] | None) -> bytes:
    """Section 5, Bundle."""
    return cbor.encode([signed, one_time, kem])


def read_bundle(bundle: bytes, owner_public: bytes) -> Bundle:
    """Section 5, Bundle."""
    require(len(bundle) <= 2816, "bundle: length")
    checks = (list, (list, None), (list, None))
    signed, one_time, *kem = cbor.fields(cbor.decode(bundle), *checks)
    return Bundle(
        read_prekey(signed, owner_public, (SIGNED,)),
        one_time and read_prekey(one_time, owner_public, (ONE_TIME,)),
        read_prekey(kem[0], owner_public, KEM_KINDS) if kem and kem[0] else None,
    )
