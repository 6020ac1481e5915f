"""Writes second.json among the vectors: `python -m second.vectors`, from the directory above.

Inputs that PROTOCOL.md refuses (and a few that it takes) and that no other vector holds.
Made from the seeds of enrollment.json and ratchet.json. Each `bytes` is checked against this implementation first."""

import hashlib
import json
from pathlib import Path
from typing import Any

from . import cbor, check, enrollment, identity, invite, prekeys, primitives, ratchet, x3dh
from .primitives import Refused

VECTORS = Path(__file__).parents[2] / "av-proto" / "vectors"
v = json.loads((VECTORS / "enrollment.json").read_text())
hexed = bytes.fromhex


def drawn(name: str) -> bytes:
    return hashlib.sha256(b"proposed " + name.encode()).digest()


root, owner_seed, agent_seed = (hexed(v[n]) for n in ("root_seed", "owner_identity_seed", "agent_identity_seed"))
owner, agent = hexed(v["owner"]), hexed(v["agent"])
owner_id, agent_id = identity.device_id(owner), identity.device_id(agent)
root_public = primitives.public_of_seed(root)
tenant = identity.tenant_id(root_public)
second_seed = drawn("second owner")
second = identity.make_device(1, 1, 4096, second_seed, drawn("second owner's agreement")).public
second_id = identity.device_id(second)
other = identity.make_device(2, 1, 4096, drawn("other agent"), drawn("other agent's agreement")).public
cert, revocation = enrollment.make_cert, enrollment.make_revocation
ROOT = enrollment.ROOT_ID
owner_cert = cert(root, tenant, owner, 1, ROOT)
agent_cert = cert(owner_seed, tenant, agent, 2, owner_id)
second_cert = cert(owner_seed, tenant, second, 2, owner_id)
agent_by_second = cert(second_seed, tenant, agent, 3, second_id)


def chain(*links: bytes) -> bytes:
    return enrollment.encode_chain(root_public, list(links))


def flip(data: bytes, place: int) -> bytes:
    out = bytearray(data)
    out[place] ^= 1
    return bytes(out)


def statement(signer: bytes = root, t: bytes = tenant, subject: bytes = owner_id, issuer: bytes = ROOT, names=(enrollment.keep_name(second_cert),)):
    return revocation(signer, t, subject, issuer, 1, 4, list(names))


revoked = statement()
CHAINS = {
    "a bit of the device certificate's signature": chain(flip(agent_cert, -1), owner_cert),
    "a bit of the owner certificate's signature": chain(agent_cert, flip(owner_cert, -1)),
    "the device certificate signed by another key": chain(cert(second_seed, tenant, agent, 2, owner_id), owner_cert),
    "the last certificate not of the root": chain(agent_cert, cert(second_seed, tenant, owner, 1, ROOT)),
    "a certificate of another tenant": chain(cert(owner_seed, bytes(16), agent, 2, owner_id), owner_cert),
    "another issuer named": chain(cert(owner_seed, tenant, agent, 2, second_id), owner_cert),
    "the last issuer not zeros": chain(agent_cert, cert(root, tenant, owner, 1, owner_id)),
    "issued by an agent": chain(cert(agent_seed, tenant, other, 3, agent_id), agent_cert, owner_cert),
    "no certificate": chain(),
    "five certificates": None,
    "version 2 of a certificate": None,
    "Revocation at the end": chain(agent_by_second, second_cert, owner_cert, revoked),
    "Revocation at the start": chain(revoked, agent_by_second, second_cert, owner_cert),
    "Revocation behind another certificate": chain(agent_by_second, revoked, second_cert, owner_cert),
    "Revocation that does not keep": chain(agent_by_second, second_cert, statement(names=[enrollment.keep_name(agent_cert)]), owner_cert),
    "Revocation of another tenant": chain(agent_by_second, second_cert, statement(t=bytes(16)), owner_cert),
    "Revocation by the revoked": chain(
        agent_by_second, second_cert, statement(owner_seed, issuer=owner_id), owner_cert
    ),
    "Revocation by an owner below": chain(
        agent_by_second, second_cert, statement(second_seed, issuer=second_id), owner_cert
    ),
    "a bit of the Revocation's signature": chain(agent_by_second, second_cert, flip(revoked, -1), owner_cert),
    "two Revocations": chain(
        agent_by_second, statement(subject=second_id, names=[enrollment.keep_name(agent_by_second)]), second_cert, revoked, owner_cert
    ),
}
seeds = [drawn(f"owner {n}") for n in range(4)]
owners = [identity.make_device(1, 1, 4096, seed, drawn("agreement")).public for seed in seeds]
ids = [identity.device_id(one) for one in owners]
five = [cert(root, tenant, owners[0], 1, ROOT)]
five += [cert(seeds[n], tenant, owners[n + 1], 1, ids[n]) for n in range(3)]
five += [cert(seeds[3], tenant, agent, 1, ids[3])]
CHAINS["five certificates"] = chain(*reversed(five))
body = cbor.decode(agent_cert)[1]
CHAINS["version 2 of a certificate"] = chain(enrollment.sign_object(1, owner_seed, b"\x02" + body[1:]), owner_cert)

signed, one_time = cbor.decode(hexed(v["bundle"]))[:2]
record = signed[0]
BUNDLES = {
    "a bit of the signed prekey's signature": [[record, flip(signed[1], 40)], one_time],
    "a bit of the one-time prekey's signature": [signed, [one_time[0], flip(one_time[1], 40)]],
    "a one-time prekey as the signed one": [one_time, one_time],
    "a signed prekey as the one-time one": [signed, signed],
    "a prekey of another device": [[record, primitives.sign(agent_seed, "prekey", owner_id + record)], one_time],
    "a prekey signed without the device_id": [[record, primitives.sign(agent_seed, "prekey", record)], one_time],
    "a prekey signed with another label": [[record, primitives.sign(agent_seed, "cert", agent_id + record)], one_time],
}
keys = invite.invite_keys(hexed(v["token"]))
request = cbor.decode(hexed(v["enroll_request"]))
owner_prekeys = [prekeys.Prekey(kind, n, 1, primitives.x25519_public(drawn(str(n)))) for kind, n in ((1, 1), (4, 2))]
owner_signed = [prekeys.sign_prekey(owner_seed, owner, one) for one in owner_prekeys]
owner_bundle = cbor.encode([*owner_signed, *[None for _ in cbor.decode(hexed(v["bundle"]))[2:]]])
owner_request = enrollment.make_request(keys, owner_seed, owner, owner_bundle, request[3])
REQUESTS = {
    "tag of other bytes, pop verifies: the owner's device refuses": cbor.encode(request[:5] + [flip(request[5], 0)]),
    "role owner for an agent's invite: the owner's device refuses": owner_request,
}
grant = hexed(v["grant"])
grant_read, t = enrollment.read_grant(grant), hexed(v["transcript"])
other_cert = cert(owner_seed, tenant, other, 2, owner_id)
by_second = chain(agent_by_second, second_cert, owner_cert)


def grant_with(**changes: Any) -> bytes:
    return enrollment.make_grant(keys.grant_key, t, grant_read._replace(**changes))


GRANTS = {
    "another device's certificate": grant_with(chain=chain(other_cert, owner_cert)),
    "no approving owner: issued by the root": grant_with(chain=chain(cert(root, tenant, agent, 2, ROOT))),
    "another owner than the invite named": grant_with(chain=by_second),
    "another origin than the one configured": grant_with(origin="wss://relay.example.com:8443"),
    "another link key than the one in use": grant_with(link_key=drawn("link key")),
    "a chain that is not valid": grant_with(chain=chain(flip(agent_cert, -1), owner_cert)),
    "nine serials": grant_with(serials=[(owner_id, n) for n in range(1, 10)]),
}
URL_START = "av1:?relay=wss%3A%2F%2Frelay.example.org"
SYMBOLS = primitives.key_symbols(hexed(v["token"]), "av1 invite", 20)
KEY = "key=" + invite.base64url(hexed(v["link_key"]))
OWNER = "owner=" + owner_id.hex()
ACCEPT_URL = {
    "no key": f"{URL_START}&{OWNER}#{SYMBOLS}",
    "no owner": f"{URL_START}&{KEY}#{SYMBOLS}",
    "neither": f"{URL_START}#{SYMBOLS}",
    "another order": f"av1:?{OWNER}&{KEY}&relay=wss%3A%2F%2Frelay.example.org#{SYMBOLS}",
    "hex of the other case": f"{URL_START.replace('%3A%2F%2F', '%3a%2f%2f')}&{OWNER.replace(owner_id.hex(), owner_id.hex().upper())}#{SYMBOLS}",
}
REJECT_URL = {
    "no relay": f"av1:?{KEY}&{OWNER}#{SYMBOLS}",
    "no token": f"{URL_START}&{KEY}&{OWNER}",
    "a parameter twice": f"{URL_START}&{KEY}&{KEY}#{SYMBOLS}",
    "an unknown parameter": f"{URL_START}&{KEY}&more=1#{SYMBOLS}",
    "a key of 42 symbols": f"{URL_START}&{KEY[:-1]}#{SYMBOLS}",
    "a key with bits to spare": f"{URL_START}&{KEY[:-1]}{chr(ord(KEY[-1]) + 1)}#{SYMBOLS}",
    "an owner of 31 digits": f"{URL_START}&{OWNER[:-1]}#{SYMBOLS}",
    "another scheme": f"https:?relay=wss%3A%2F%2Frelay.example.org#{SYMBOLS}",
    "half an escape": f"{URL_START}%2#{SYMBOLS}",
}
CBOR = {
    "head not shortest": b"\x98\x06" + grant[1:],
    "indefinite length": b"\x9f" + grant[1:] + b"\xff",
    "a field less": cbor.encode(cbor.decode(grant)[:-1]),
    "a field more": cbor.encode(cbor.decode(grant) + [None]),
    "bstr for tstr": cbor.encode([f.encode() if isinstance(f, str) else f for f in cbor.decode(grant)]),
}
public, x = primitives.public_of_seed(root), b"abc"
good = primitives.sign(root, "auth", x)
ELL = 2**252 + 27742317777372353535851937790883648493
plus_l = (int.from_bytes(good[32:], "little") + ELL).to_bytes(32, "little")
SIGNATURES = {
    "S not below L": (public, good[:32] + plus_l),
    "A and R of small order, S = 0": (b"\x01" + bytes(31), b"\x01" + bytes(63)),
    "A not canonical": ((primitives.P + 1).to_bytes(32, "little"), b"\x01" + bytes(63)),
    "another label": (public, primitives.sign(root, "cert", x)),
}


def sealed_plain(plain: bytes) -> bytes:
    nonce = hexed(v["name_nonce"])
    return nonce + primitives.xchacha_seal(keys.name_key, nonce, plain.ljust(64, b"\0"), keys.lookup)


NAMES = {
    "no 0x80": sealed_plain(b"name\0platform"),
    "no 0x00": sealed_plain(b"name\x80"),
    "a control character": sealed_plain(b"na\nme\0platform\x80"),
    "not UTF-8": sealed_plain(b"na\xff\0platform\x80"),
    "a name of 41 bytes": sealed_plain(b"n" * 41 + b"\0p\x80"),
    "a platform of 23 bytes": sealed_plain(b"n\0" + b"p" * 23 + b"\x80"),
}


def must_refuse(what: str, cases: dict[str, Any], function: Any) -> list[dict[str, str]]:
    for reason, case in cases.items():
        try:
            function(case)
        except Refused:
            continue
        raise SystemExit(f"{what}: {reason} is taken")
    return [{"reason": reason, "bytes": case.hex()} for reason, case in cases.items()]


def read_whole_request(data: bytes) -> None:
    enrollment.check_request(enrollment.read_request(data), keys, identity.AGENT)


def take_grant(data: bytes) -> None:
    enrollment.check_grant(data, keys.grant_key, t, agent, v["origin"], owner_id, hexed(v["link_key"]))


kept = chain(agent_by_second, second_cert, revoked, owner_cert)
enrollment.read_chain(kept, tenant)
enrollment.read_chain(kept, tenant, frozenset([owner_id]))
unkept = chain(agent_by_second, second_cert, owner_cert)
enrollment.read_chain(unkept, tenant)
must_refuse("chain", {"revoked": unkept}, lambda data: enrollment.read_chain(data, tenant, frozenset([owner_id])))
must_refuse("chain", {"revoked": kept}, lambda data: enrollment.read_chain(data, tenant, frozenset([agent_id])))


# Messages: kinds, and what must be refused, in a conversation of ratchet.json's shape

ratchet_vectors = json.loads((VECTORS / "ratchet.json").read_text())
handshake = ratchet_vectors["conversations"][0]["handshake"]
_, session_a, session_b = check.check_handshake(handshake, "")
sessions = {"A": session_a, "B": session_b}
acts: list[dict[str, Any]] = []


def nonce(n: int) -> bytes:
    return drawn(f"nonce {n}")[:24]


def send(side: str, kind: int, body: bytes) -> int:
    number = sum(act["act"] == "send" for act in acts)
    secret = [drawn(f"ratchet key {number}")] if ratchet.needs_ratchet_key(sessions[side]) else []
    sessions[side], blob, text = ratchet.send(sessions[side], kind, body, 32, nonce(number), *secret)
    random = [one.hex() for one in [*secret, nonce(number)]]
    act = {"act": "send", "from": side, "message": number, "kind": kind, "body": body.hex(), "block": 32}
    acts.append(act | {"random": random, "header_blob": blob.hex(), "ciphertext": text.hex()})
    return number


def receive(side: str, number: int, act: str = "receive") -> None:
    message = [one for one in acts if one["act"] == "send"][number]
    sealed = hexed(message["header_blob"]), hexed(message["ciphertext"])
    sessions[side], kind, body = ratchet.receive(sessions[side], *sealed)
    assert (kind, body) == (message["kind"], hexed(message["body"]))
    acts.append({"act": act, "message": number})


def sealed_as(session: ratchet.Session, plain: bytes, **changes: Any) -> tuple[bytes, bytes]:
    """The session's next message, with a plaintext and a header of our own."""
    chain, message_key = ratchet.chain_step(session.send_chain)
    header = ratchet.Header(primitives.x25519_public(session.own_secret), session.previous_sent, session.sent)
    blob = bytes([2 if session.prelude_to_send else 1, session.suite])
    if session.prelude_to_send:
        blob += primitives.with_length(ratchet.encode_prelude(session.prelude_to_send))
    header_bytes = ratchet.encode_header(header._replace(**changes))
    number = nonce(1000 + len(acts))
    blob += number + primitives.seal(1, session.send_header_key, number, header_bytes, session.th + blob)
    return blob, primitives.seal(1, message_key, number, plain, session.th + blob)


def reject(side: str, reason: str, blob: bytes, text: bytes) -> None:
    try:
        ratchet.receive(sessions[side], blob, text)
    except Refused:
        acts.append({"act": "reject", "to": side, "reason": reason, "header_blob": blob.hex(), "ciphertext": text.hex()})
        return
    raise SystemExit(f"message: {reason} is taken")


GOOD = ratchet.pad(1, b"forged", 32)
reject("B", "PN above 0 in the first chain", *sealed_as(sessions["A"], GOOD, previous_count=1))
first = sessions["A"]
reject(
    "B",
    "prelude of another gen",
    *sealed_as(first._replace(prelude_to_send=first.prelude_to_send._replace(gen=handshake["gen"] + 1)), GOOD),
)
receive("B", send("A", 2, b""))
receive("A", send("B", 3, b""))
receive("B", send("A", 10, (7).to_bytes(8, "big")))
receive("A", send("B", 11, drawn("recipient")[:16] + drawn("message_id")[:16] + b"\x01copied"))
receive("B", send("A", 99, b"of a later version"), "receive, and reject for its kind")
acts.append({"act": "reject as a replay", "message": 4})
now = sessions["A"]
reject("B", "no 0x80", *sealed_as(now, b"\x01text".ljust(32, b"\0")))
reject("B", "no kind", *sealed_as(now, b"\x80".ljust(32, b"\0")))
reject("B", "empty plaintext", *sealed_as(now, b""))
reject("B", "another key in the same chain", *sealed_as(now, GOOD, key=primitives.x25519_public(drawn("key"))))
reject("B", "N of 2^31", *sealed_as(now, GOOD, number=2**31))
reject("B", "N far beyond any SKIP", *sealed_as(now, GOOD, number=2**31 - 1))
good = sealed_as(now, GOOD)
reject("B", "another suite byte", good[0][:1] + b"\x02" + good[0][2:], good[1])
reject("B", "type 3", b"\x03" + good[0][1:], good[1])
reject("B", "header_blob a byte short", good[0][:-1], good[1])
reject("B", "header_blob a byte more", good[0] + b"\0", good[1])
reject("B", "a bit of the nonce", flip(good[0], 2), good[1])
reject("B", "a bit of the header's tag", flip(good[0], -1), good[1])
receive("A", send("B", 1, b"so that A begins a chain"))
stepped = ratchet.sending_step(sessions["A"], drawn("forged ratchet key"))
reject("B", "PN below what was opened", *sealed_as(stepped, GOOD, previous_count=stepped.previous_sent - 1))
reject("B", "PN over 2^31", *sealed_as(stepped, GOOD, previous_count=2**31 + 1))
reject("B", "PN far beyond any SKIP", *sealed_as(stepped, GOOD, previous_count=2**31 - 1))
reject("B", "a key of small order", *sealed_as(stepped, GOOD, key=bytes(32)))
step_1 = sealed_as(stepped, GOOD)
receive("B", send("A", 1, b"nothing has changed"))
receive("A", send("B", 1, b"on either side"))
reject("B", "the step that A did not take", *step_1)
receive("B", send("A", 1, b"B has not answered this"))
early = ratchet.sending_step(sessions["A"], drawn("early ratchet key"))
reject("B", "a step before the answer to the last", *sealed_as(early, GOOD))


# A first message whose prelude carries A's chain

owner_chain = hexed(v["owner_chain"])
us = identity.Device(owner, owner_seed, hexed(handshake["initiator"]["agreement_secret"]))
peer = identity.Device(agent, agent_seed, hexed(handshake["responder"]["agreement_secret"]))
bundle = prekeys.read_bundle(hexed(v["bundle"]), agent)
draws = drawn("ephemeral"), drawn("first ratchet key"), nonce(2000)
agreement, prelude = x3dh.initiate(
    1, 1, 1, tenant, us, agent, bundle, keys.psk, draws[0], None, owner_chain
)
started = ratchet.start_initiator(1, agreement, prelude, bundle.signed.key, draws[1])
_, blob, text = ratchet.send(started, 1, b"first", 32, draws[2])


def side(device: identity.Device) -> dict[str, str]:
    return {name: value.hex() for name, value in zip(("device_public", "identity_seed", "agreement_secret"), device)}


def prekey(number: int, name: str) -> dict[str, Any]:
    return {"id": v["prekey_secrets"]["ids"][number], "secret": v["prekey_secrets"][name]}


with_chain = dict(zip(("th", "ikm", "SK", "HK_A", "NHK_B"), (value.hex() for value in agreement))) | {
    "suite": 1,
    "mode": 1,
    "gen": 1,
    "tenant_id": tenant.hex(),
    "initiator": side(us),
    "initiator_chain": owner_chain.hex(),
    "responder": side(peer),
    "bundle": v["bundle"],
    "signed_prekey": prekey(0, "signed"),
    "one_time_prekey": prekey(1, "one_time"),
    "psk": keys.psk.hex(),
    "ephemeral_secret": draws[0].hex(),
    "first_ratchet_secret": draws[1].hex(),
    "first_message": {
        "kind": 1,
        "body": b"first".hex(),
        "block": 32,
        "nonce": draws[2].hex(),
        "header_blob": blob.hex(),
        "ciphertext": text.hex(),
    },
}

out = {
    "about": "made by the second implementation, from the seeds of enrollment.json and ratchet.json; bytes are hex",
    "accept_chain_with_revocation": {"bytes": kept.hex(), "revoked": owner_id.hex(), "revoked_but_refused": agent_id.hex()},
    "accept_chain_unless_revoked": {"bytes": unkept.hex(), "revoked": owner_id.hex()},
    "reject_chain": must_refuse("chain", CHAINS, lambda data: enrollment.read_chain(data, tenant)),
    "reject_bundle": must_refuse(
        "bundle",
        {reason: cbor.encode([*value, *cbor.decode(hexed(v["bundle"]))[2:]]) for reason, value in BUNDLES.items()},
        lambda data: prekeys.read_bundle(data, agent),
    ),
    "reject_request": must_refuse("request", REQUESTS, read_whole_request),
    "reject_grant": must_refuse("grant", GRANTS, take_grant),
    "accept_url": [{"reason": reason, "text": text} for reason, text in ACCEPT_URL.items()],
    "reject_url": [{"reason": reason, "text": text} for reason, text in REJECT_URL.items()],
    "reject_grant_layout": must_refuse("grant", CBOR, enrollment.read_grant),
    "reject_name": must_refuse("name", NAMES, lambda data: invite.open_name(keys, data)),
    "reject_signature": [
        {"reason": reason, "tag": "auth", "input": x.hex(), "public": a.hex(), "signature": s.hex()}
        for reason, (a, s) in SIGNATURES.items()
    ],
    "message_id": {
        "tenant_id": tenant.hex(),
        "sender": owner_id.hex(),
        "recipient": agent_id.hex(),
        "header_blob": blob.hex(),
        "ciphertext": text.hex(),
        "message_id": ratchet.message_id(tenant, owner_id, agent_id, blob, text).hex(),
    },
    "gen": [
        {"kept": kept_gen, "gen": gen, "taken": x3dh.gen_is_taken(gen, kept_gen)}
        for kept_gen, gen in ((0, 0), (0, 1), (7, 6), (7, 7), (7, 8), (7, 7 + 2**20), (7, 8 + 2**20))
    ],
    "mode": [{"k": k, "mode": mode, "taken": x3dh.mode_is_taken(mode, k)} for k in (0, 1, 2, 3) for mode in (0, 1)],
    "mode_to_make": [
        {"k_of_ours": a, "k_of_theirs": b, "mode": x3dh.mode_to_make(a, b)} for a in (0, 1, 2) for b in (0, 1, 2)
    ],
    "x3dh_with_chain": with_chain,
    "conversation": {"handshake": handshake, "acts": acts},
}
for reason, (a, s) in SIGNATURES.items():
    try:
        primitives.verify(a, "auth", x, s)
        raise SystemExit(f"signature: {reason} is taken")
    except Refused:
        pass
(VECTORS / "second.json").write_text(json.dumps(out, indent=2) + "\n")
print({name: len(value) for name, value in out.items() if isinstance(value, list)})
