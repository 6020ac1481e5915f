"""Runs every vector file against this implementation: `python -m second.check [DIRECTORY]...`, from the directory above.

Prints one line a file with the number of values that agree; exits 1 with the name of the first that does not. A vector
that must be refused counts as a value, and must be refused for the reason that it names."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import cbor, enrollment, identity, invite, kem, link, prekeys, primitives, ratchet, record, x3dh
from .check_api_key import check_api_key
from .checking import Result, bundle_of_secrets, hexed, refused
from .primitives import Refused


def device_of(keys: dict[str, str]) -> identity.Device:
    return identity.Device(hexed(keys["device_public"]), hexed(keys["identity_seed"]), hexed(keys["agreement_secret"]))


# identity.json

WHY_NOT_A_DEVICE = {
    "version 2": "device: version",
    "role 0": "device: role",
    "role 3": "device: role",
    "no suite": "device: suites",
    "an unknown suite": "device: suites",
    "max_message below 4,096": "device: max_message",
    "a byte short": "device: length",
    "a byte more": "device: length",
}
WHY_NOT_A_RECOVERY_KEY = {
    "one symbol differs": "text: checksum",
    "a symbol is missing": "text: number",
    "U is no symbol": "text: ",
}


def check_identity(v: dict[str, Any]) -> Iterator[Result]:
    for tag, function in (("h256", primitives.h256), ("h128", primitives.h128)):
        for case in v[tag]:
            yield f"{tag} {case['tag']}", function(case["tag"], hexed(case["input"])).hex() == case["output"]
    for case in v["mac"]:
        output = primitives.mac(hexed(case["key"]), case["tag"], hexed(case["input"]))
        yield "mac", output.hex() == case["output"]
    for case in v["kdf"]:
        size = len(case["output"]) // 2
        output = primitives.kdf(hexed(case["salt"]), hexed(case["ikm"]), hexed(case["info"]), size)
        yield "kdf", output.hex() == case["output"]
    for case in v["sign"]:
        seed, tag, x = hexed(case["seed"]), case["tag"], hexed(case["input"])
        yield "sign public", primitives.public_of_seed(seed).hex() == case["public"]
        yield "sign signed", primitives.signed_message(tag, x).hex() == case["signed"]
        yield "sign signature", primitives.sign(seed, tag, x).hex() == case["signature"]
        primitives.verify(hexed(case["public"]), tag, x, hexed(case["signature"]))
    for one in v["devices"]:
        seeds = hexed(one["identity_seed"]), hexed(one["agreement_secret"])
        public = identity.make_device(one["role"], one["suites"], one["max_message"], *seeds).public
        yield "device_public", public.hex() == one["device_public"]
        yield "device read", identity.encode_device_public(identity.read_device_public(public)) == public
        yield "fingerprint", identity.fingerprint(public).hex() == one["fingerprint"]
        yield "device_id", identity.device_id(public).hex() == one["device_id"]
        yield "groups", identity.groups(identity.fingerprint(public)) == one["groups"]
        yield "groups read", identity.read_groups(one["groups"].replace(" ", "-\n")) == one["groups"]
    prints = [hexed(one["fingerprint"]) for one in v["devices"]]
    yield "safety_number", identity.safety_number(*prints) == v["safety_number"]
    yield "safety_number reversed", identity.safety_number(*reversed(prints)) == v["safety_number"]
    yield from check_recovery_key(v["recovery_key"])
    for one in v["reject_device_public"]:
        because = WHY_NOT_A_DEVICE[one["reason"]]
        yield f"reject {one['reason']}", refused(because, identity.read_device_public, hexed(one["bytes"]))


def check_recovery_key(v: dict[str, Any]) -> Iterator[Result]:
    seed = hexed(v["seed"])
    yield "recovery text", identity.recovery_text(seed) == v["text"]
    yield "recovery text read", identity.read_recovery_text(v["text"]) == seed
    yield "recovery public", primitives.public_of_seed(seed).hex() == v["public"]
    yield "recovery tenant_id", identity.tenant_id(hexed(v["public"])).hex() == v["tenant_id"]
    for one in v["reject"]:
        because = WHY_NOT_A_RECOVERY_KEY[one["reason"]]
        yield f"reject {one['reason']}", refused(because, identity.read_recovery_text, one["text"])


# invite.json

WHY_NOT_AN_INVITE = {
    "the last symbol differs": "text: checksum",
    "a symbol is missing": "text: number",
    "a symbol too many": "text: number",
    "U is no symbol": "text: not a symbol",
    "nothing": "text: number",
}
WHY_NOT_A_NAME = {"a bit differs": "seal: does not open", "a byte short": "name: length", "empty": "name: length"}


def check_invite(v: dict[str, Any]) -> Iterator[Result]:
    token, keys = hexed(v["token"]), invite.invite_keys(hexed(v["token"]))
    yield "text", invite.invite_text(token) == v["text"]
    for text in v["accept"]:
        yield f"accept {text}", invite.read_invite_text(text) == token
    for one in v["reject"]:
        because = WHY_NOT_AN_INVITE[one["reason"]]
        yield f"reject {one['reason']}", refused(because, invite.read_invite_text, one["text"])
    for name, key in keys._asdict().items():
        yield name, key.hex() == v["keys"][name]
    yield "lookup_hash", invite.lookup_hash(keys.lookup).hex() == v["lookup_hash"]
    url = invite.InviteUrl(v["url"]["relay"], hexed(v["url"]["link_key"]), hexed(v["url"]["owner"]), token)
    yield "url", invite.invite_url(url) == v["url"]["text"]
    yield "url read", invite.read_invite_url(v["url"]["text"]) == url
    name = v["sealed_name"]
    sealed = invite.seal_name(keys, hexed(name["nonce"]), name["name"], name["platform"])
    yield "sealed name", sealed.hex() == name["sealed"]
    yield "sealed name opened", invite.open_name(keys, sealed) == (name["name"], name["platform"])
    for one in name["reject"]:
        because = WHY_NOT_A_NAME[one["reason"]]
        yield f"reject name, {one['reason']}", refused(because, invite.open_name, keys, hexed(one["bytes"]))


# enrollment.json

WHY_NOT_A_REQUEST = {
    "a byte short": "cbor: cut",
    "a byte more": "cbor: trailing",
    "pop of other bytes": "signature: ",
    "another lookup: pop does not verify": "signature: does not verify",
    "another agreement key: pop does not verify": "signature: does not verify",
}
WHY_NOT_A_CHAIN = {
    "another root": "chain: root",
    "a bit of the device's certificate": "cert: device_id",
    "a bit of the owner's certificate": "cert: device_id",
    "a byte short": "cbor: cut",
    "a byte more": "cbor: trailing",
    "an owner that certifies itself: twice in the chain": "chain: a device twice",
}
WHY_NOT_A_GRANT = {
    "tag of other bytes": "grant: tag",
    "another origin": "grant: tag",
    "another link key": "grant: tag",
    "a next link key that the tag does not cover": "grant: tag",
    "no serials": "grant: tag",
}


def check_enrollment(v: dict[str, Any]) -> Iterator[Result]:
    keys = invite.invite_keys(hexed(v["token"]))
    agent, owner, origin = hexed(v["agent"]), hexed(v["owner"]), v["origin"]
    agent_seed, owner_seed = hexed(v["agent_identity_seed"]), hexed(v["owner_identity_seed"])
    root_seed = hexed(v["root_seed"])
    yield "lookup_hash", invite.lookup_hash(keys.lookup).hex() == v["lookup_hash"]
    bundle = bundle_of_secrets(agent_seed, agent, v["prekey_secrets"], v["issued_at"])
    yield "bundle", bundle.hex() == v["bundle"]
    ids = [one.id for one in prekeys.read_bundle(bundle, agent) if one]
    yield "bundle read", ids == v["prekey_secrets"]["ids"]
    sealed_name = invite.seal_name(keys, hexed(v["name_nonce"]), v["name"], v["platform"])
    t = enrollment.transcript(keys.lookup, agent, bundle, sealed_name)
    yield "transcript", t.hex() == v["transcript"]
    request = enrollment.make_request(keys, agent_seed, agent, bundle, sealed_name)
    yield "enroll_request", request.hex() == v["enroll_request"]
    read = enrollment.read_request(hexed(v["enroll_request"]))
    enrollment.check_request(read, keys, identity.AGENT)
    yield "enroll_request read", invite.open_name(keys, read.sealed_name) == (v["name"], v["platform"])
    for one in v["reject_request"]:
        because = WHY_NOT_A_REQUEST[one["reason"]]
        yield f"reject request, {one['reason']}", refused(because, enrollment.read_request, hexed(one["bytes"]))

    root = primitives.public_of_seed(root_seed)
    tenant, owner_id = identity.tenant_id(root), identity.device_id(owner)
    yield "tenant_id", tenant.hex() == v["tenant_id"]
    owner_cert = enrollment.make_cert(root_seed, tenant, owner, v["issued_at"], enrollment.ROOT_ID)
    agent_cert = enrollment.make_cert(owner_seed, tenant, agent, v["cert_issued_at"], owner_id)
    chain = enrollment.encode_chain(root, [agent_cert, owner_cert])
    yield "owner_chain", enrollment.encode_chain(root, [owner_cert]).hex() == v["owner_chain"]
    yield "agent_chain", chain.hex() == v["agent_chain"]
    yield "chain_hash", enrollment.chain_hash(chain).hex() == v["chain_hash"]
    for name, devices in (("owner_chain", [owner]), ("agent_chain", [agent, owner])):
        certs = enrollment.read_chain(hexed(v[name]), tenant)
        yield f"{name} read", [cert.device_public for cert in certs] == devices
    for one in v["reject_chain"]:
        because = WHY_NOT_A_CHAIN[one["reason"]]
        yield f"reject chain, {one['reason']}", refused(because, enrollment.read_chain, hexed(one["bytes"]), tenant)

    serials = [(hexed(one["owner"]), one["serial"]) for one in v["serials"]]
    grant = enrollment.Grant(chain, origin, hexed(v["link_key"]), enrollment.NO_KEY, serials, b"")
    yield "grant", enrollment.make_grant(keys.grant_key, t, grant).hex() == v["grant"]
    ours = keys.grant_key, t, agent, origin, owner_id, hexed(v["link_key"])
    _, pinned, approver = enrollment.check_grant(hexed(v["grant"]), *ours)
    yield "grant read", (pinned, approver.device_public) == (tenant, owner)
    for one in v["reject_grant"]:
        because = WHY_NOT_A_GRANT[one["reason"]]
        yield f"reject grant, {one['reason']}", refused(because, enrollment.check_grant, hexed(one["bytes"]), *ours)
    yield "activation", enrollment.activation(agent_seed, t, chain).hex() == v["activation"]
    found = enrollment.found_signature(root_seed, tenant, origin, owner_id)
    yield "found_signature", found.hex() == v["found_signature"]


# x3dh.json, x3dh-kem.json and ratchet.json

WHY_NOT_A_MESSAGE = {
    "PN above 0 in the first chain": "receive: PN",
    "prelude of another gen": "receive: prelude of another session",
    "no 0x80": "plaintext: padding",
    "no kind": "plaintext: padding",
    "empty plaintext": "plaintext: padding",
    "another key in the same chain": "receive: another key",
    "N of 2^31": "receive: end of chain",
    "N far beyond any SKIP": "receive: jump",
    "another suite byte": "message: ",
    "type 3": "message: type",
    "header_blob a byte short": "message: length",
    "header_blob a byte more": "message: length",
    "a bit of the nonce": "receive: no header key",
    "a bit of the header's tag": "receive: no header key",
    "PN below what was opened": "receive: PN",
    "PN over 2^31": "receive: end of chain",
    "PN far beyond any SKIP": "receive: jump",
    "a key of small order": "agreement: all-zero",
    "a step before the answer to the last": "receive: a step before",
    "the step that A did not take": "receive: ",
}


def secret_of(v: dict[str, Any] | None, name: str = "secret") -> x3dh.Secret | None:
    return v and x3dh.Secret(v["id"], hexed(v[name]))


def agreement_of(v: dict[str, Any]) -> tuple[x3dh.Agreement, x3dh.Prelude, bytes]:
    """The initiator's side of a handshake, and the signed prekey that it used."""
    us, peer = device_of(v["initiator"]), device_of(v["responder"])
    bundle = prekeys.read_bundle(hexed(v["bundle"]), peer.public)
    psk = v["psk"] and hexed(v["psk"])
    numbers = v["suite"], v["mode"], v["gen"], hexed(v["tenant_id"])
    chain = hexed(v["initiator_chain"]) if "initiator_chain" in v else None
    secret = hexed(v["ephemeral_secret"])
    kem_random = hexed(v["kem"]["randomness"]) if "kem" in v else None
    agreement, prelude = x3dh.initiate(*numbers, us, peer.public, bundle, psk, secret, kem_random, chain)
    return agreement, prelude, bundle.signed.key


def responder_session(v: dict[str, Any]) -> tuple[x3dh.Agreement, ratchet.Session]:
    """The responder's side, from the first message's bytes."""
    us, peer, suite = device_of(v["responder"]), device_of(v["initiator"]), v["suite"]
    prelude = ratchet.split_blob(hexed(v["first_message"]["header_blob"])).prelude
    psk = v["psk"] and hexed(v["psk"])
    signed, one_time = secret_of(v["signed_prekey"]), secret_of(v["one_time_prekey"])
    kem_key = secret_of(v.get("kem"), "seed")
    agreement = x3dh.respond(suite, hexed(v["tenant_id"]), us, peer.public, prelude, signed, one_time, kem_key, psk)
    return agreement, ratchet.start_responder(suite, agreement, prelude, signed.secret)


def check_handshake(v: dict[str, Any], name: str) -> tuple[list[Result], ratchet.Session, ratchet.Session]:
    """Both sides of the agreement, and the first message sent and received. The sessions: A's with the first message
    sent, B's before it."""
    results = []
    for side in ("initiator", "responder"):
        keys = device_of(v[side])
        made = identity.make_device(*identity.read_device_public(keys.public)[:3], *keys[1:])
        results.append((f"{name} {side}'s device_public", made.public == keys.public))
    results += check_bundle(v, name)
    a, prelude, signed_prekey = agreement_of(v)
    b, session_b = responder_session(v)
    for side, agreement in (("initiator", a), ("responder", b)):
        for field, value in zip(("th", "ikm", "SK", "HK_A", "NHK_B"), agreement):
            results.append((f"{name} {side}'s {field}", value.hex() == v[field]))
    first = v["first_message"]
    session_a = ratchet.start_initiator(v["suite"], a, prelude, signed_prekey, hexed(v["first_ratchet_secret"]))
    text = first["kind"], hexed(first["body"])
    session_a, blob, ciphertext = ratchet.send(session_a, *text, first["block"], hexed(first["nonce"]))
    results.append((f"{name} first header_blob", blob.hex() == first["header_blob"]))
    results.append((f"{name} first ciphertext", ciphertext.hex() == first["ciphertext"]))
    received = ratchet.receive(session_b, blob, ciphertext)[1:]
    results.append((f"{name} first message received", received == text))
    return results, session_a, session_b


def check_bundle(v: dict[str, Any], name: str) -> Iterator[Result]:
    """The bundle holds the keys of the responder's secrets."""
    bundle = prekeys.read_bundle(hexed(v["bundle"]), hexed(v["responder"]["device_public"]))
    for ours, theirs in ((v["signed_prekey"], bundle.signed), (v["one_time_prekey"], bundle.one_time)):
        secret = secret_of(ours)
        public = secret and (secret.id, primitives.x25519_public(secret.secret))
        yield f"{name} bundle", public == (theirs and (theirs.id, theirs.key))
    if "kem" in v:
        key = kem.public_of_seed(hexed(v["kem"]["seed"]))
        yield f"{name} KEM key", key.hex() == v["kem"]["key"] and key == bundle.kem.key and v["kem"]["id"] == bundle.kem.id
        secret, ciphertext = kem.encapsulate(key, hexed(v["kem"]["randomness"]))
        yield f"{name} KEM ciphertext", ciphertext.hex() == v["kem"]["ciphertext"] and secret.hex() == v["kem"]["secret"]
    else:
        yield f"{name} no KEM key", bundle.kem is None


def check_x3dh(v: dict[str, Any]) -> Iterator[Result]:
    for number, case in enumerate(v["cases"]):
        yield from check_handshake(case, f"case {number}")[0]


def check_ratchet(v: dict[str, Any]) -> Iterator[Result]:
    for number, conversation in enumerate(v["conversations"]):
        results, session_a, session_b = check_handshake(conversation["handshake"], f"conversation {number}")
        yield from results
        yield from check_acts(conversation["acts"], {"A": session_a, "B": session_b}, f"conversation {number}")


def check_acts(acts: list[dict[str, Any]], sessions: dict[str, ratchet.Session], name: str) -> Iterator[Result]:
    sent = {act["message"]: act for act in acts if act["act"] == "send"}
    for place, act in enumerate(acts):
        if act["act"] == "reject":
            forged = hexed(act["header_blob"]), hexed(act["ciphertext"])
            because = WHY_NOT_A_MESSAGE[act["reason"]]
            yield f"{name} reject {act['reason']}", refused(because, ratchet.receive, sessions[act["to"]], *forged)
            continue
        name_of_act = f"{name} act {place}, {act['act']} {act['message']}"
        message = sent[act["message"]]
        blob, ciphertext = hexed(message["header_blob"]), hexed(message["ciphertext"])
        text = message["kind"], hexed(message["body"])
        receiver = "B" if message["from"] == "A" else "A"
        if act["act"] == "send":
            *ratchet_secret, nonce = map(hexed, message["random"])
            session, *made = ratchet.send(sessions[act["from"]], *text, act["block"], nonce, *ratchet_secret)
            sessions[act["from"]] = session
            yield name_of_act + " header_blob", made[0] == blob
            yield name_of_act + " ciphertext", made[1] == ciphertext
        elif act["act"] == "receive":
            sessions[receiver], *received = ratchet.receive(sessions[receiver], blob, ciphertext)
            yield name_of_act, tuple(received) == text
        elif act["act"] == "receive, and reject for its kind":
            sessions[receiver], kind, _ = ratchet.receive(sessions[receiver], blob, ciphertext)
            yield name_of_act, kind not in ratchet.KINDS
        elif act["act"] == "reject as a replay":
            yield name_of_act, refused("receive: spent number", ratchet.receive, sessions[receiver], blob, ciphertext)
        else:
            assert act["act"] == "reject with bit 0 of the ciphertext changed"
            changed = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
            yield name_of_act, refused("seal: does not open", ratchet.receive, sessions[receiver], blob, changed)


# record.json


def check_record(v: dict[str, Any]) -> Iterator[Result]:
    seal_key, record_key, plain = hexed(v["seal_key"]), hexed(v["record_key"]), hexed(v["record"])
    sealed = record.seal_record(seal_key, record_key, hexed(v["nonce"]), plain)
    yield "sealed", sealed.hex() == v["sealed"]
    yield "opened", record.open_record(seal_key, record_key, sealed) == plain
    elsewhere = hexed(v["does_not_open_as"])
    yield "elsewhere", refused("seal: does not open", record.open_record, seal_key, elsewhere, sealed)
    for one in v["reject"]:
        because = "record: version" if one["reason"] == "another version" else "seal: does not open"
        yield f"reject {one['reason']}", refused(because, record.open_record, seal_key, record_key, hexed(one["bytes"]))


# link.json and noise-nk.json


def check_link(v: dict[str, Any]) -> Iterator[Result]:
    origin, link_key = v["origin"], hexed(v["link_key"])
    static, relay_key = hexed(v["relay_link_secret"]), hexed(v["relay_ephemeral_secret"])
    device_key = hexed(v["device_ephemeral_secret"])
    yield "protocol_name", link.PROTOCOL_NAME.decode() == v["protocol_name"]
    yield "prologue", link.prologue(origin).hex() == v["prologue"]
    yield "link_key", primitives.x25519_public(static) == link_key
    state, first = link.initiate(link.start(link.prologue(origin), link_key), device_key, link_key)
    relay, second = link.respond_av1(origin, first, static, relay_key)
    device = link.finish_av1(state, second, device_key)
    yield "handshake 0", first.hex() == v["handshake"][0]
    yield "handshake 1", second.hex() == v["handshake"][1]
    yield "channel", link.channel(device).hex() == link.channel(relay).hex() == v["channel"]
    for number, one in enumerate(v["messages"]):
        sender, receiver = (device, relay) if one["direction"] == "to the relay" else (relay, device)
        yield f"message {number}", link.seal_frame(sender, hexed(one["frame"])).hex() == one["message"]
        yield f"message {number} opened", link.open_frame(receiver, hexed(one["message"])).hex() == one["frame"]
    yield from check_authenticate(v)
    for one in v["rejected"]:
        why = {"another tag": "link: does not open", "an ephemeral key of small order": "agreement: all-zero output"}
        because = why.get(one["why"], "link: length")
        if "to the relay" in one:
            message = hexed(one["to the relay"])
            yield f"rejected by the relay, {one['why']}", refused(
                because, link.respond_av1, origin, message, static, relay_key
            )
        else:
            message = hexed(one["to the device"])
            yield f"rejected by the device, {one['why']}", refused(because, link.finish_av1, state, message, device_key)


def check_authenticate(v: dict[str, Any]) -> Iterator[Result]:
    public, tenant = hexed(v["authenticate"]["device_public"]), hexed(v["authenticate"]["tenant_id"])
    device = identity.device_id(public)
    message = link.authenticate_message(2, hexed(v["channel"]), tenant, device, v["origin"])
    yield "authenticate signed_message", message.hex() == v["authenticate"]["signed_message"]
    frame = hexed(v["messages"][1]["frame"])
    fields = cbor.decode(frame)
    primitives.verify(public[10:42], "auth", message[len(b"AV1 auth\0") :], fields[6])
    yield "authenticate frame", fields[:3] == [1, tenant, device] and fields[5] == 2


def check_noise(v: dict[str, Any]) -> Iterator[Result]:
    for number, one in enumerate(v["vectors"]):
        payloads = [hexed(message["payload"]) for message in one["messages"]]
        ciphertexts = [message["ciphertext"] for message in one["messages"]]
        remote, static = hexed(one["init_remote_static"]), hexed(one["resp_static"])
        device_key, relay_key = hexed(one["init_ephemeral"]), hexed(one["resp_ephemeral"])
        start = link.start(hexed(one["init_prologue"]), remote)
        state, first = link.initiate(start, device_key, remote, payloads[0])
        start = link.start(hexed(one["resp_prologue"]), primitives.x25519_public(static))
        relay, second, received_first = link.respond(start, first, static, relay_key, payloads[1])
        device, received_second = link.finish(state, second, device_key)
        yield f"{number} message 0", first.hex() == ciphertexts[0] and received_first == payloads[0]
        yield f"{number} message 1", second.hex() == ciphertexts[1] and received_second == payloads[1]
        if "handshake_hash" in one:
            yield f"{number} handshake_hash", device.hash.hex() == relay.hash.hex() == one["handshake_hash"]
        for place in range(2, len(payloads)):
            sender, receiver = (device, relay) if place % 2 == 0 else (relay, device)
            sealed = link.seal_frame(sender, payloads[place])
            opened = link.open_frame(receiver, sealed)
            yield f"{number} message {place}", sealed.hex() == ciphertexts[place] and opened == payloads[place]


# second.json: what this implementation found wanting in the others


def check_second(v: dict[str, Any]) -> Iterator[Result]:
    base = json.loads((Path(v["directory"]) / "enrollment.json").read_text())
    tenant, agent = hexed(base["tenant_id"]), hexed(base["agent"])
    keys = invite.invite_keys(hexed(base["token"]))
    for name in ("accept_chain_with_revocation", "accept_chain_unless_revoked"):
        chain, revoked = hexed(v[name]["bytes"]), frozenset([hexed(v[name]["revoked"])])
        yield name, len(enrollment.read_chain(chain, tenant)) == 3
        keeps = name == "accept_chain_with_revocation"
        yield f"{name}, revoked", keeps != refused("chain: issuer revoked", enrollment.read_chain, chain, tenant, revoked)
    device = frozenset([hexed(v["accept_chain_with_revocation"]["revoked_but_refused"])])
    chain = hexed(v["accept_chain_with_revocation"]["bytes"])
    yield "device revoked", refused("chain: device revoked", enrollment.read_chain, chain, tenant, device)
    inviter = identity.device_id(hexed(base["owner"]))
    ours = keys.grant_key, hexed(base["transcript"]), agent, base["origin"], inviter, hexed(base["link_key"])
    readers: dict[str, Callable[[bytes], Any]] = {
        "reject_chain": lambda data: enrollment.read_chain(data, tenant),
        "reject_bundle": lambda data: prekeys.read_bundle(data, agent),
        "reject_request": lambda data: enrollment.check_request(enrollment.read_request(data), keys, identity.AGENT),
        "reject_grant": lambda data: enrollment.check_grant(data, *ours),
        "reject_grant_layout": enrollment.read_grant,
        "reject_name": lambda data: invite.open_name(keys, data),
    }
    for name, reader in readers.items():
        for one in v[name]:
            yield f"{name}, {one['reason']}", refused("", reader, hexed(one["bytes"]))
    for one in v["accept_url"]:
        yield f"accept_url, {one['reason']}", invite.read_invite_url(one["text"]).token == hexed(base["token"])
    for one in v["reject_url"]:
        yield f"reject_url, {one['reason']}", refused("", invite.read_invite_url, one["text"])
    for one in v["reject_signature"]:
        x = hexed(one["public"]), one["tag"], hexed(one["input"]), hexed(one["signature"])
        yield f"reject_signature, {one['reason']}", refused("signature: ", primitives.verify, *x)
    *parts, expected = v["message_id"].values()
    yield "message_id", ratchet.message_id(*map(hexed, parts)).hex() == expected
    for one in v["gen"]:
        yield f"gen {one}", x3dh.gen_is_taken(one["gen"], one["kept"]) == one["taken"]
    for one in v["mode"]:
        yield f"mode {one}", x3dh.mode_is_taken(one["mode"], one["k"]) == one["taken"]
    for one in v["mode_to_make"]:
        yield f"mode_to_make {one}", x3dh.mode_to_make(one["k_of_ours"], one["k_of_theirs"]) == one["mode"]
    yield from check_handshake(v["x3dh_with_chain"], "with chain")[0]
    results, session_a, session_b = check_handshake(v["conversation"]["handshake"], "conversation")
    yield from results
    yield from check_acts(v["conversation"]["acts"], {"A": session_a, "B": session_b}, "conversation")


CHECKS = {
    "identity": check_identity,
    "invite": check_invite,
    "enrollment": check_enrollment,
    "api-key": check_api_key,
    "x3dh": check_x3dh,
    "x3dh-kem": check_x3dh,
    "ratchet": check_ratchet,
    "record": check_record,
    "link": check_link,
    "noise-nk": check_noise,
    "second": check_second,
}


def main() -> int:
    files = {path.stem: path for directory in sys.argv[1:] or ["vectors"] for path in Path(directory).glob("*.json")}
    if files.keys() != CHECKS.keys():
        print(f"vectors and checks differ: {', '.join(sorted(files.keys() ^ CHECKS.keys()))}")
        return 1
    for stem, check in CHECKS.items():
        count, name = 0, "its beginning"
        try:
            vectors = json.loads(files[stem].read_text())
            for name, agrees in check(vectors | {"directory": str(files["enrollment"].parent)}):
                if not agrees:
                    print(f"{stem}.json: {name} differs")
                    return 1
                count += 1
        except Refused as refusal:
            print(f"{stem}.json: after {name}: refused, {refusal}")
            return 1
        print(f"{stem}.json: {count} values agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
