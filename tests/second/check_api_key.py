"""Runs api-key.json against this implementation; see check.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import api_key, cbor, enrollment, identity, primitives
from .checking import Result, bundle_of_secrets, hexed, refused

WHY_NOT_A_TEXT = {
    "the last symbol differs": "text: checksum",
    "a symbol of the tenant differs": "text: checksum",
    "a symbol is missing": "text: number",
    "a symbol too many": "text: number",
    "U is no symbol": "text: not a symbol",
    "an invite's prefix": "text: ",
}
WHY_NOT_A_KEY_CHAIN = {
    "version 2": "key grant: length or version",
    "of another tenant": "chain: tenant",
    "the id of another key": "key grant: key_id",
    "no scope": "key grant: scopes",
    "another scope": "key grant: scopes",
    "a scope more": "key grant: scopes",
    "for no device": "key grant: most",
    "for 65 devices": "key grant: most",
    "by another issuer": "chain: issuer",
    "by the root": "key grant: the root",
    "signed by the agent": "signature: ",
    "signed as a certificate": "signature: ",
    "a byte more": "key grant: length or version",
    "a device's chain": "chain: of no key",
    "an owner's chain": "chain: of no key",
}
WHY_NOT_A_CHAIN = {
    "dated before the grant": "chain: KeyGrant's time",
    "dated after the key's time": "chain: KeyGrant's time",
    "an owner": "chain: a key lets in agents only",
    "signed by the owner, not by the key": "signature: ",
    "by another key than the one granted": "chain: issuer",
    "under the grant of another key": "chain: issuer",
    "under a key that a key grants": "chain: KeyGrant's place",
    "below the device": "chain: ",
    "a bit of the grant's signature": "signature: ",
    "without the grant": "chain: issuer",
    "the key's own": "chain: of no device",
    "a byte more": "cbor: trailing",
}
WHY_NOT_A_CLOSED_CHAIN = {
    "no closing beside it": "chain: issuer revoked",
    "not kept": "chain: Revocation does not keep",
    "another certificate than the kept one": "chain: Revocation does not keep",
    "the closing behind the grant": "chain: Revocation's place",
}
WHY_NOT_AN_ENROLLMENT = {
    "pop of other bytes": "signature: ",
    "pop by the key": "signature: ",
    "pop with an invite's lookup": "signature: ",
    "pop of another chain": "signature: ",
    "prekeys of another device": "signature: ",
    "a byte short": "cbor: cut",
    "a byte more": "cbor: trailing",
}


def check_api_key(v: dict[str, Any]) -> Iterator[Result]:
    base = json.loads((Path(v["directory"]) / "enrollment.json").read_text())
    seed, root_seed, tenant = hexed(v["seed"]), hexed(base["root_seed"]), hexed(v["tenant_id"])
    owner, agent = hexed(base["owner"]), hexed(base["agent"])
    owner_seed, agent_seed = hexed(base["owner_identity_seed"]), hexed(base["agent_identity_seed"])
    root, owner_id = primitives.public_of_seed(root_seed), identity.device_id(owner)
    yield "tenant_id", identity.tenant_id(root) == tenant
    yield "public", primitives.public_of_seed(seed).hex() == v["public"]
    yield "key_id", identity.key_id(hexed(v["public"])).hex() == v["key_id"]
    yield "text", identity.api_key_text(seed, tenant) == v["text"]
    for text in [v["text"], *v["accept_text"]]:
        yield f"accept {text}", identity.read_api_key_text(text) == (seed, tenant)
    for one in v["reject_text"]:
        because = WHY_NOT_A_TEXT[one["reason"]]
        yield f"reject {one['reason']}", refused(because, identity.read_api_key_text, one["text"])

    granted = v["most"], v["expires_at"], v["issued_at"], owner_id
    grant = enrollment.make_key_grant(owner_seed, tenant, seed, *granted)
    yield "key_grant", grant.hex() == v["key_grant"]
    owner_cert = enrollment.make_cert(root_seed, tenant, owner, v["owner_issued_at"], enrollment.ROOT_ID)
    key_chain = enrollment.encode_chain(root, [grant, owner_cert])
    yield "key_chain", key_chain.hex() == v["key_chain"]
    read = api_key.check_key(hexed(v["key_chain"]), seed, tenant)
    yield "key_chain read", (read.most, read.expires_at, read.issued_at, read.issuer) == granted
    yield "of another key", refused("key: another key", api_key.check_key, key_chain, bytes(32), tenant)

    device = identity.Device(agent, agent_seed, b"")
    bundle = bundle_of_secrets(agent_seed, agent, v["prekey_secrets"], v["prekeys_created_at"])
    yield "bundle", bundle.hex() == v["bundle"]
    enrolled = api_key.enroll(seed, read, key_chain, device, bundle, v["enrolled_at"])
    yield "agent_chain", enrolled.chain.hex() == v["agent_chain"]
    t = enrollment.transcript(bytes(32), agent, bundle, enrolled.chain)
    yield "transcript", t.hex() == v["transcript"]
    yield "pop", enrolled.pop.hex() == v["pop"]
    certs = api_key.check_enrollment(hexed(v["frames"]["enroll_with_key"]), tenant)
    yield "enrollment read", certs[0].device_public == agent and certs[2].device_public == owner
    earlier = api_key.enroll(seed, read, key_chain, device, bundle, 0)
    behind = enrollment.read_chain(earlier.chain, tenant)[0].issued_at
    yield "a clock that is behind", behind == v["issued_at"]
    late = seed, read, key_chain, device, bundle, v["expires_at"] + 1
    yield "too late", refused("key: expired", api_key.enroll, *late)

    numbers = v["frame_numbers"]
    place = numbers["sequence"], numbers["previous"]
    frames = {
        "post_key_grant": (api_key.POST_KEY_GRANT, numbers["request"], grant),
        "find_key": (api_key.FIND_KEY, tenant, hexed(v["key_id"])),
        "enroll_with_key": (api_key.ENROLL_WITH_KEY, *enrolled),
        "key": (api_key.KEY, key_chain),
        "key_used": (api_key.KEY_USED, *place, enrolled.chain),
    }
    yield "frames", frames.keys() == v["frames"].keys()
    for name, (number, *fields) in frames.items():
        yield f"frame {name}", api_key.frame(number, *fields).hex() == v["frames"][name]
        yield f"frame {name} read", api_key.read_frame(number, hexed(v["frames"][name])) == fields

    key, closing = hexed(v["key_id"]), v["closing"]
    name = enrollment.keep_name(certs[0])
    statement = enrollment.make_revocation(
        owner_seed, tenant, key, owner_id, closing["serial"], closing["issued_at"], [name]
    )
    yield "closing", statement.hex() == closing["statement"]
    cert, *above = cbor.decode(enrolled.chain)[1:]
    closed, is_closed = enrollment.encode_chain(root, [cert, statement, *above]), frozenset([key])
    yield "closed_chain", closed.hex() == v["closed_chain"]
    yield "closed_chain read", len(enrollment.read_chain(closed, tenant, is_closed)) == 3
    yield "closed key", refused("chain: device revoked", enrollment.read_key_chain, key_chain, tenant, is_closed)
    for name, why, reader in (
        ("reject_key_chain", WHY_NOT_A_KEY_CHAIN, lambda data: enrollment.read_key_chain(data, tenant)),
        ("reject_chain", WHY_NOT_A_CHAIN, lambda data: enrollment.read_chain(data, tenant)),
        ("reject_closed_chain", WHY_NOT_A_CLOSED_CHAIN, lambda data: enrollment.read_chain(data, tenant, is_closed)),
        ("reject_enroll", WHY_NOT_AN_ENROLLMENT, lambda data: api_key.check_enrollment(data, tenant)),
    ):
        for one in v[name]:
            yield f"{name}, {one['reason']}", refused(why[one["reason"]], reader, hexed(one["bytes"]))
