"""Section 6: key agreement, prelude, mode, gen."""

from typing import NamedTuple

from . import cbor, enrollment, kem
from .identity import Device, device_id, fingerprint, read_device_public
from .prekeys import Bundle
from .primitives import choose_suite, dh, h256, has_kem, kdf, require, uint, x25519_public

NOTHING = bytes(32)


class Prelude(NamedTuple):
    gen: int
    mode: int
    ephemeral: bytes
    signed_prekey: int
    one_time_prekey: int | None
    kem_key: int | None
    kem_ciphertext: bytes | None
    initiator: bytes


class Secret(NamedTuple):
    """A prekey of ours: its id, its secret (KEM: the seed of 64 bytes)."""

    id: int
    secret: bytes


class Agreement(NamedTuple):
    th: bytes
    ikm: bytes
    sk: bytes
    hk_a: bytes
    nhk_b: bytes


def encode_prelude(prelude: Prelude) -> bytes:
    """Section 6, Prelude."""
    return cbor.encode(list(prelude))


def read_prelude(data: bytes, suite: int) -> Prelude:
    """Section 6, Prelude: its KEM fields are the suite's."""
    optional_id = (cbor.U32, None)
    kem_fields = (cbor.U32, 1088) if has_kem(suite) else (None, None)
    checks = (cbor.U32, range(2), 32, cbor.U32, optional_id, *kem_fields, bytes)
    return Prelude(*cbor.fields(cbor.decode(data), *checks))


def transcript(
    suite: int,
    mode: int,
    gen: int,
    tenant: bytes,
    device_a: bytes,
    device_b: bytes,
    ephemeral: bytes,
    signed: tuple[int, bytes],
    one_time: tuple[int, bytes] | None,
    kem_part: tuple[int, bytes, bytes] | None,
) -> bytes:
    """Section 6, th. Prekeys are (id, public key), the KEM's part (id, key, ciphertext)."""
    x = uint(suite, 1) + uint(mode, 1) + uint(gen, 4) + tenant + fingerprint(device_a) + fingerprint(device_b)
    x += ephemeral + uint(signed[0], 4) + signed[1]
    x += b"\x01" + uint(one_time[0], 4) + one_time[1] if one_time else b"\0"
    x += b"\x01" + uint(kem_part[0], 4) + kem_part[1] + kem_part[2] if kem_part else b"\0"
    return h256("av1 x3dh", x)


def agree(th: bytes, agreements: list[bytes], one_time: bytes, kem_secret: bytes, psk: bytes) -> Agreement:
    """Section 6, ikm and the first keys."""
    ikm = b"\xff" * 32 + b"".join(agreements) + one_time + kem_secret + psk
    keys = kdf(th, ikm, b"AV1 x3dh", 96)
    return Agreement(th, ikm, keys[:32], keys[32:64], keys[64:])


def psk_of_mode(mode: int, psk: bytes | None) -> bytes:
    """Section 6, Mode: 1 with the invite's psk."""
    require(mode in (0, 1), "x3dh: mode")
    require(mode == 0 or psk is not None, "x3dh: mode 1 without psk")
    return psk if mode == 1 else NOTHING


def initiate(
    suite: int,
    mode: int,
    gen: int,
    tenant: bytes,
    us: Device,
    peer_public: bytes,
    bundle: Bundle,
    psk: bytes | None,
    ephemeral_secret: bytes,
    kem_random: bytes | None = None,
    chain: bytes | None = None,
) -> tuple[Agreement, Prelude]:
    """Section 6, A. `chain` goes into the prelude in place of our id."""
    require(us.public != peer_public, "x3dh: A = B")
    check_suite(suite, us.public, peer_public)
    require(not has_kem(suite) or bundle.kem is not None, "x3dh: the bundle lacks a KEM key")
    peer_key, signed, ephemeral = peer_public[42:74], bundle.signed, x25519_public(ephemeral_secret)
    one_time = (bundle.one_time.id, bundle.one_time.key) if bundle.one_time else None
    kem_secret, kem_part = NOTHING, None
    if has_kem(suite):
        kem_secret, ciphertext = kem.encapsulate(bundle.kem.key, kem_random)
        kem_part = (bundle.kem.id, bundle.kem.key, ciphertext)
    ends = (tenant, us.public, peer_public)
    th = transcript(suite, mode, gen, *ends, ephemeral, (signed.id, signed.key), one_time, kem_part)
    agreements = [
        dh(us.agreement_secret, peer_key),
        dh(us.agreement_secret, signed.key),
        dh(ephemeral_secret, peer_key),
        dh(ephemeral_secret, signed.key),
    ]
    fourth = dh(ephemeral_secret, one_time[1]) if one_time else NOTHING
    prelude = Prelude(
        gen,
        mode,
        ephemeral,
        signed.id,
        one_time and one_time[0],
        kem_part and kem_part[0],
        kem_part and kem_part[2],
        chain or device_id(us.public),
    )
    return agree(th, agreements, fourth, kem_secret, psk_of_mode(mode, psk)), prelude


def respond(
    suite: int,
    tenant: bytes,
    us: Device,
    peer_public: bytes,
    prelude: Prelude,
    signed: Secret,
    one_time: Secret | None,
    kem_key: Secret | None,
    psk: bytes | None,
) -> Agreement:
    """Section 6, B. The secrets are those that the prelude names. What depends on the past, gen and mode, is the
    caller's to check (`gen_is_taken`, `mode_is_taken`)."""
    require(us.public != peer_public, "x3dh: A = B")
    check_suite(suite, us.public, peer_public)
    check_initiator(prelude, tenant, peer_public)
    require(prelude.signed_prekey == signed.id, "x3dh: signed prekey")
    require(prelude.one_time_prekey == (one_time and one_time.id), "x3dh: one-time prekey")
    require(prelude.kem_key == (kem_key and kem_key.id), "x3dh: KEM key")
    peer_key, ephemeral = peer_public[42:74], prelude.ephemeral
    one_time_part = (one_time.id, x25519_public(one_time.secret)) if one_time else None
    kem_secret, kem_part = NOTHING, None
    if kem_key:
        kem_secret = kem.decapsulate(kem_key.secret, prelude.kem_ciphertext)
        kem_part = (kem_key.id, kem.public_of_seed(kem_key.secret), prelude.kem_ciphertext)
    ends = (tenant, peer_public, us.public)
    signed_part = (signed.id, x25519_public(signed.secret))
    th = transcript(suite, prelude.mode, prelude.gen, *ends, ephemeral, signed_part, one_time_part, kem_part)
    agreements = [
        dh(us.agreement_secret, peer_key),
        dh(signed.secret, peer_key),
        dh(us.agreement_secret, ephemeral),
        dh(signed.secret, ephemeral),
    ]
    fourth = dh(one_time.secret, ephemeral) if one_time else NOTHING
    return agree(th, agreements, fourth, kem_secret, psk_of_mode(prelude.mode, psk))


def check_suite(suite: int, device_a: bytes, device_b: bytes) -> None:
    """Section 1: both sides compute the same choice, and refuse any other."""
    sets = read_device_public(device_a).suites, read_device_public(device_b).suites
    require(suite == choose_suite(*sets), "x3dh: suite")


def check_initiator(prelude: Prelude, tenant: bytes, peer_public: bytes) -> None:
    """Section 6, Prelude: 16 bytes are an id, anything else a chain; either names the sender, whose DevicePublic is the
    chain's or known already."""
    if len(prelude.initiator) == 16:
        require(prelude.initiator == device_id(peer_public), "x3dh: another initiator")
    else:
        certs = enrollment.read_chain(prelude.initiator, tenant)
        require(certs[0].device_public == peer_public, "x3dh: another initiator")


def mode_to_make(k_of_ours: int, k_of_theirs: int) -> int:
    """Section 6, Mode, between a device and its approver: k over the sessions that each side initiated."""
    return 1 if k_of_ours == 0 and k_of_theirs <= 1 else 0


def mode_is_taken(mode: int, k: int) -> bool:
    """Section 6, Mode, between a device and its approver."""
    return k >= 1 if mode == 0 else k <= 1


def gen_is_taken(gen: int, kept: int) -> bool:
    """Section 6, gen."""
    return 1 <= gen - kept <= 2**20


def wins(gen_1: int, initiator_1: bytes, gen_2: int, initiator_2: bytes) -> bool:
    """Section 6, Two sessions: whether the first wins."""
    return (-gen_1, initiator_1) < (-gen_2, initiator_2)
