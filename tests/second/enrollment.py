"""Section 4: requests, certificates, chains, grants, activation, API keys."""

from typing import Any, NamedTuple

from . import cbor
from .identity import AGENT, OWNER, DevicePublic, device_id, key_id, read_device_public, tenant_id
from .invite import InviteKeys
from .prekeys import Bundle, read_bundle
from .primitives import h128, h256, mac, public_of_seed, require, same, sign, uint, verify, with_length

CERT, REVOCATION, KEY_GRANT = 1, 2, 6
TAG_OF_KIND = {CERT: "cert", REVOCATION: "revocation", KEY_GRANT: "keygrant"}
ROOT_ID = bytes(16)
NO_KEY = bytes(32)


class Request(NamedTuple):
    lookup: bytes
    device: bytes
    bundle: bytes
    sealed_name: bytes
    pop: bytes
    tag: bytes


class Cert(NamedTuple):
    tenant_id: bytes
    device_id: bytes
    device_public: bytes
    device: DevicePublic
    issued_at: int
    issuer: bytes
    body: bytes
    signature: bytes


class Revocation(NamedTuple):
    tenant_id: bytes
    subject: bytes
    issuer: bytes
    serial: int
    issued_at: int
    names: list[bytes]
    body: bytes
    signature: bytes


class KeyGrant(NamedTuple):
    tenant_id: bytes
    device_id: bytes  # the key's id, by which it is an issuer
    public: bytes
    most: int
    expires_at: int
    issued_at: int
    issuer: bytes
    body: bytes
    signature: bytes


class Grant(NamedTuple):
    chain: bytes
    origin: str
    link_key: bytes
    next_link_key: bytes
    serials: list[tuple[bytes, int]]
    tag: bytes


# 4.1 The request


def transcript(lookup: bytes, device: bytes, bundle: bytes, sealed_name: bytes) -> bytes:
    """Section 4.1, t."""
    return h256("av1 enroll", lookup + device + with_length(bundle) + with_length(sealed_name))


def transcript_of(request: Request) -> bytes:
    return transcript(request.lookup, request.device, request.bundle, request.sealed_name)


def make_request(keys: InviteKeys, identity_seed: bytes, device: bytes, bundle: bytes, sealed_name: bytes) -> bytes:
    """Section 4.1, EnrollRequest."""
    t = transcript(keys.lookup, device, bundle, sealed_name)
    pop, tag = sign(identity_seed, "enroll", t), mac(keys.enroll_key, "av1 enrolltag", t)
    return cbor.encode([keys.lookup, device, bundle, sealed_name, pop, tag])


def read_request(data: bytes) -> Request:
    """Section 4.1: what the relay checks too: layout and pop."""
    request = Request(*cbor.fields(cbor.decode(data), 32, 74, bytes, 104, 64, 32))
    device = read_device_public(request.device)
    verify(device.identity_key, "enroll", transcript_of(request), request.pop)
    return request


def check_request(request: Request, keys: InviteKeys, role: int) -> Bundle:
    """Section 4.2: what the inviting device checks besides; prekeys are verified by whoever uses them."""
    require(request.lookup == keys.lookup, "request: another invite")
    require(same(request.tag, mac(keys.enroll_key, "av1 enrolltag", transcript_of(request))), "request: tag")
    require(read_device_public(request.device).role == role, "request: role")
    return read_bundle(request.bundle, request.device)


# 4.2 Certificates; 4.5 Revocations; signed objects (Conventions)


def sign_object(kind: int, signer_seed: bytes, body: bytes) -> bytes:
    return cbor.encode([kind, body, sign(signer_seed, TAG_OF_KIND[kind], body)])


def make_cert(issuer_seed: bytes, tenant: bytes, device: bytes, issued_at: int, issuer: bytes) -> bytes:
    """Section 4.2, DeviceCert."""
    body = uint(1, 1) + tenant + device_id(device) + device + uint(issued_at, 8) + issuer
    return sign_object(CERT, issuer_seed, body)


def make_revocation(
    issuer_seed: bytes, tenant: bytes, subject: bytes, issuer: bytes, serial: int, issued_at: int, names: list[bytes]
) -> bytes:
    """Section 4.5, Statement of kind 2."""
    body = uint(1, 1) + tenant + subject + issuer + uint(serial, 8) + uint(issued_at, 8)
    return sign_object(REVOCATION, issuer_seed, body + uint(len(names), 2) + b"".join(names))


def make_key_grant(
    owner_seed: bytes, tenant: bytes, key_seed: bytes, most: int, expires_at: int, issued_at: int, owner: bytes
) -> bytes:
    """Section 4.6, KeyGrant."""
    public = public_of_seed(key_seed)
    body = uint(1, 1) + tenant + key_id(public) + public + uint(1, 4) + uint(most, 2)
    return sign_object(KEY_GRANT, owner_seed, body + uint(expires_at, 8) + uint(issued_at, 8) + owner)


def read_link(data: bytes) -> Cert | Revocation | KeyGrant:
    """One element of a chain, its signature not yet checked."""
    kind, body, signature = cbor.fields(cbor.decode(data), range(1, 7), bytes, 64)
    require(kind in TAG_OF_KIND, "chain: kind")
    return {CERT: read_cert, REVOCATION: read_revocation, KEY_GRANT: read_key_grant}[kind](body, signature)


def read_key_grant(body: bytes, signature: bytes) -> KeyGrant:
    """Section 4.6."""
    require(len(body) == 103 and body[0] == 1, "key grant: length or version")
    public, most = body[33:65], int.from_bytes(body[69:71], "big")
    require(body[17:33] == key_id(public), "key grant: key_id")
    require(body[65:69] == uint(1, 4), "key grant: scopes")
    require(1 <= most <= 64, "key grant: most")
    require(body[87:103] != ROOT_ID, "key grant: the root grants no keys")
    expires_at, issued_at = int.from_bytes(body[71:79], "big"), int.from_bytes(body[79:87], "big")
    return KeyGrant(body[1:17], body[17:33], public, most, expires_at, issued_at, body[87:103], body, signature)


def read_cert(body: bytes, signature: bytes) -> Cert:
    """Section 4.2."""
    require(len(body) == 131 and body[0] == 1, "cert: length or version")
    device_public = body[33:107]
    device = read_device_public(device_public)
    require(body[17:33] == device_id(device_public), "cert: device_id")
    issued_at = int.from_bytes(body[107:115], "big")
    return Cert(body[1:17], body[17:33], device_public, device, issued_at, body[115:131], body, signature)


def read_revocation(body: bytes, signature: bytes) -> Revocation:
    """Section 4.5."""
    require(len(body) >= 67 and body[0] == 1, "revocation: length or version")
    count = int.from_bytes(body[65:67], "big")
    require(count <= 64 and len(body) == 67 + 16 * count, "revocation: names")
    names = [body[i : i + 16] for i in range(67, len(body), 16)]
    serial, issued_at = int.from_bytes(body[49:57], "big"), int.from_bytes(body[57:65], "big")
    return Revocation(body[1:17], body[17:33], body[33:49], serial, issued_at, names, body, signature)


# 4.4 Chains


def keep_name(link: Cert | KeyGrant | bytes) -> bytes:
    """Section 4.5: the name by which a Revocation keeps a signed certificate."""
    if isinstance(link, bytes):
        return h128("av1 keep", link)
    kind = CERT if isinstance(link, Cert) else KEY_GRANT
    return h128("av1 keep", cbor.encode([kind, link.body, link.signature]))


def encode_chain(root_public: bytes, links: list[bytes]) -> bytes:
    return cbor.encode([root_public, *links])


def chain_hash(chain: bytes) -> bytes:
    return h256("av1 certs", chain)


def root_of(chain: bytes) -> bytes:
    items = cbor.decode(chain)
    require(isinstance(items, list) and len(items) >= 2, "chain: layout")
    return cbor.fields(items[:1], 32)[0]


def read_chain(chain: bytes, tenant: bytes, revoked: frozenset[bytes] = frozenset()) -> list[Any]:
    """Section 4.4: the certificates of a valid chain, the device's own first. `revoked`: ids known to be revoked.
    Section 4.6: where the second is a KeyGrant, the device enrolled with that key."""
    certs = read_links(chain, tenant, revoked)
    require(isinstance(certs[0], Cert), "chain: of no device")
    return certs


def read_key_chain(chain: bytes, tenant: bytes, revoked: frozenset[bytes] = frozenset()) -> list[Any]:
    """Section 4.6: the KeyGrant and the certificates of the owner that signed it."""
    certs = read_links(chain, tenant, revoked)
    require(isinstance(certs[0], KeyGrant) and len(certs) <= 3, "chain: of no key")
    return certs


def read_links(chain: bytes, tenant: bytes, revoked: frozenset[bytes]) -> list[Any]:
    require(len(chain) <= 2012, "chain: length")
    root = root_of(chain)
    require(tenant_id(root) == tenant, "chain: root")  # rule 1, first
    items = cbor.decode(chain)[1:]
    require(all(isinstance(item, bytes) for item in items), "chain: layout")
    links = [read_link(item) for item in items]
    certs = [link for link in links if not isinstance(link, Revocation)]
    require(1 <= len(certs) <= 4 and len(links) - len(certs) <= 1, "chain: number of links")
    check_certs(certs, root, tenant)
    require(certs[0].device_id not in revoked, "chain: device revoked")  # rule 4
    kept = check_revocations(links, certs, root, tenant)
    require(all(cert.device_id not in revoked or cert.device_id in kept for cert in certs[1:]), "chain: issuer revoked")
    return certs


def check_certs(certs: list[Any], root: bytes, tenant: bytes) -> None:
    """Section 4.4, rules 2 and 3; section 4.6."""
    require(len({cert.device_id for cert in certs}) == len(certs), "chain: a device twice")
    for place, cert in enumerate(certs):
        above = certs[place + 1] if place < len(certs) - 1 else None
        tag = "cert" if isinstance(cert, Cert) else "keygrant"
        require(cert.tenant_id == tenant, "chain: tenant")
        require(cert.issuer == (above.device_id if above else ROOT_ID), "chain: issuer")
        if isinstance(above, KeyGrant):
            require(place == 0 and isinstance(cert, Cert), "chain: KeyGrant's place")
            require(cert.device.role == AGENT, "chain: a key lets in agents only")
            require(above.issued_at <= cert.issued_at <= above.expires_at, "chain: KeyGrant's time")
            verify(above.public, tag, cert.body, cert.signature)
        else:
            require(above is None or above.device.role == OWNER, "chain: issuer is no owner")
            verify(above.device.identity_key if above else root, tag, cert.body, cert.signature)


def check_revocations(links: list[Any], certs: list[Any], root: bytes, tenant: bytes) -> set[bytes]:
    """Section 4.4, rule 5: the revoked issuers whose Revocation keeps the certificate before it."""
    kept = set()
    for place, statement in enumerate(links):
        if not isinstance(statement, Revocation):
            continue
        before = links[place - 1] if place > 0 else None
        is_kept = isinstance(before, Cert | KeyGrant)
        require(is_kept and before.issuer == statement.subject != ROOT_ID, "chain: Revocation's place")
        require(statement.tenant_id == tenant, "chain: Revocation's tenant")
        require(keep_name(before) in statement.names, "chain: Revocation does not keep")
        further_up = certs[certs.index(before) + 2 :]
        keys = {cert.device_id: cert.device.identity_key for cert in further_up} | {ROOT_ID: root}
        require(statement.issuer in keys, "chain: Revocation's issuer")
        verify(keys[statement.issuer], "revocation", statement.body, statement.signature)
        kept.add(statement.subject)
    return kept


def found_signature(root_seed: bytes, tenant: bytes, origin: str, founder: bytes) -> bytes:
    """Section 4.4, Found."""
    return sign(root_seed, "found", tenant + with_length(origin.encode()) + founder)


# 4.2 The grant; 4.3 Activation


def grant_tag(grant_key: bytes, t: bytes, grant: Grant) -> bytes:
    """Section 4.2."""
    serials = uint(len(grant.serials), 2) + b"".join(owner + uint(serial, 8) for owner, serial in grant.serials)
    link_keys = grant.link_key + grant.next_link_key
    x = t + chain_hash(grant.chain) + with_length(grant.origin.encode()) + link_keys + serials
    return mac(grant_key, "av1 grant", x)


def make_grant(grant_key: bytes, t: bytes, grant: Grant) -> bytes:
    """Section 4.2. `grant.tag` is made here."""
    return cbor.encode(list(grant._replace(serials=[list(s) for s in grant.serials], tag=grant_tag(grant_key, t, grant))))


def read_grant(data: bytes) -> Grant:
    """Section 4.2, layout."""
    chain, origin, link_key, next_link_key, serials, tag = cbor.fields(cbor.decode(data), bytes, str, 32, 32, list, 32)
    require(6 <= len(origin.encode()) <= 280 and len(serials) <= 8, "grant: origin or serials")
    owners = [tuple(cbor.fields(serial, 16, cbor.U64)) for serial in serials]
    return Grant(chain, origin, link_key, next_link_key, owners, tag)


def check_grant(
    data: bytes,
    grant_key: bytes,
    t: bytes,
    device: bytes,
    origin: str,
    inviter: bytes | None = None,
    link_key: bytes | None = None,
) -> tuple[Grant, bytes, Cert]:
    """Section 4.3: what the agent checks. `inviter`: the owner that the invite named; `link_key`: the one in use.
    Returns the grant, the tenant's id and the approving owner's certificate, to be pinned."""
    grant = read_grant(data)
    require(same(grant.tag, grant_tag(grant_key, t, grant)), "grant: tag")
    tenant = tenant_id(root_of(grant.chain))
    certs = read_chain(grant.chain, tenant)
    require(certs[0].device_public == device, "grant: another device")
    require(len(certs) >= 2 and isinstance(certs[1], Cert), "grant: no approving owner")
    require(grant.origin == origin, "grant: origin")
    require(inviter is None or certs[0].issuer == inviter, "grant: another owner")
    require(link_key is None or grant.link_key == link_key, "grant: link key")
    return grant, tenant, certs[1]


def activation(identity_seed: bytes, t: bytes, chain: bytes) -> bytes:
    """Section 4.3."""
    return sign(identity_seed, "activate", t + chain_hash(chain))


# 4.6 API keys


def key_possession(identity_seed: bytes, device: bytes, bundle: bytes, chain: bytes) -> bytes:
    """Section 4.6, pop."""
    return sign(identity_seed, "enroll", transcript(bytes(32), device, bundle, chain))
