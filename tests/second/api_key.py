"""Section 4.6: an API key's frames, and who is let in with one. Its text stands in identity.py, its chains in enrollment.py."""

from typing import Any, NamedTuple

from . import cbor
from .enrollment import KeyGrant, encode_chain, key_possession, make_cert, read_chain, read_key_chain, root_of, transcript
from .identity import key_id
from .prekeys import read_bundle
from .primitives import public_of_seed, require, verify

POST_KEY_GRANT, FIND_KEY, ENROLL_WITH_KEY, KEY, KEY_USED = 21, 22, 23, 86, 87
FIELDS: dict[int, tuple[Any, ...]] = {
    POST_KEY_GRANT: (cbor.U32, bytes),
    FIND_KEY: (16, 16),
    ENROLL_WITH_KEY: (bytes, bytes, 64),
    KEY: (bytes,),
    KEY_USED: (cbor.U64, cbor.U64, bytes),
}


class Enrollment(NamedTuple):
    chain: bytes
    bundle: bytes
    pop: bytes


def frame(number: int, *fields: Any) -> bytes:
    """Section 9."""
    return cbor.encode([number, *fields])


def read_frame(number: int, data: bytes) -> list[Any]:
    return cbor.fields(cbor.decode(data), range(number, number + 1), *FIELDS[number])[1:]


def check_key(key_chain: bytes, seed: bytes, tenant: bytes) -> KeyGrant:
    """What the device checks of the answer to FindKey: a grant of its own key, in the tenant that the text names."""
    grant = read_key_chain(key_chain, tenant)[0]
    require(grant.public == public_of_seed(seed), "key: another key")
    return grant


def enroll(seed: bytes, grant: KeyGrant, key_chain: bytes, device: Any, bundle: bytes, clock: int) -> Enrollment:
    """The device's certificate by the key, dated by its clock or as the grant if that is later, and its proof."""
    issued_at = max(clock, grant.issued_at)
    require(issued_at <= grant.expires_at, "key: expired")
    cert = make_cert(seed, grant.tenant_id, device.public, issued_at, key_id(grant.public))
    chain = encode_chain(root_of(key_chain), [cert, *cbor.decode(key_chain)[1:]])
    return Enrollment(chain, bundle, key_possession(device.identity_seed, device.public, bundle, chain))


def check_enrollment(data: bytes, tenant: bytes) -> list[Any]:
    """What the relay checks of EnrollWithKey, beside expiry and `most`. Returns the chain's certificates."""
    chain, bundle, pop = read_frame(ENROLL_WITH_KEY, data)
    certs = read_chain(chain, tenant)
    require(len(certs) > 1 and isinstance(certs[1], KeyGrant), "enrollment: without a key")
    device = certs[0].device_public
    read_bundle(bundle, device)
    verify(certs[0].device.identity_key, "enroll", transcript(bytes(32), device, bundle, chain), pop)
    return certs
