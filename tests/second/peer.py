"""Plays one side live: `python -m second.peer`, from the directory above. One JSON object a line on stdin, one answer a
line on stdout, in order: {"ok": true, ...} or {"ok": false, "why": "..."}; after a refusal nothing has changed. Bytes
are hex, absent fields and null are the same. Sessions and links go by names that the caller chooses, kept until the
process ends. All randomness is the caller's; the peer checks neither gen nor mode against a past, which it has not.

DEVICE = {"device_public", "identity_seed", "agreement_secret"}; PREKEY = {"id", "secret"} (KEM: a seed of 64 bytes).

Sessions (sections 5 to 7)
  bundle        device: DEVICE, created_at, signed: PREKEY, one_time: PREKEY or null, kem: PREKEY and "kind" (2 or 3),
                or null                                                       -> bundle
  initiate      session, suite, mode, gen, tenant_id, device: DEVICE, peer_public, bundle, psk or null,
                ephemeral_secret, kem_random (32, the FIPS 203 m) or null, ratchet_secret, chain or null (goes into the
                prelude in place of the id)                                   -> th, SK, HK_A, NHK_B
  respond       session, tenant_id, device: DEVICE, peer_public, signed: PREKEY, one_time: PREKEY or null,
                kem: PREKEY or null, psk or null, header_blob, ciphertext (of a first message)
                                                                              -> th, SK, HK_A, NHK_B, gen, mode, kind, body
  send          session, kind, body, block, random: a string of bytes, of which the peer takes from the front a ratchet
                secret (32), if the message begins a chain, then the nonce (24 or 12)
                                                                              -> header_blob, ciphertext, used (bytes)
  receive       session, header_blob, ciphertext                              -> kind, body
  message_id    tenant_id, sender, recipient, header_blob, ciphertext         -> message_id

Enrollment (sections 3 and 4)
  request       device: DEVICE, token, bundle, name, platform, nonce (24)     -> request, t
  approve       device: DEVICE (the owner), chain (its own), token, request, role, issued_at, origin, link_key,
                next_link_key (or null), serials: [[owner, serial], ...]      -> name, platform, t, chain, grant
  take_grant    device: DEVICE, token, t, grant, origin, inviter or null, link_key or null
                                                                              -> tenant_id, owner_public, link_key, activation

The Noise link (section 9)
  link_initiate link, origin, link_key, ephemeral_secret                      -> message
  link_finish   link, message                                                 -> channel
  link_respond  link, origin, link_secret, ephemeral_secret, message          -> message, channel
  link_seal     link, frame                                                   -> message
  link_open     link, message                                                 -> frame
"""

import json
import sys
from typing import Any

from . import enrollment, identity, invite, kem, link, prekeys, primitives, ratchet, x3dh
from .primitives import Refused, require

Fields = dict[str, Any]
sessions: dict[str, ratchet.Session] = {}
links: dict[str, link.Link] = {}
handshakes: dict[str, tuple[link.Handshake, bytes]] = {}


def bytes_in(fields: Fields, name: str) -> bytes:
    return bytes.fromhex(fields[name])


def bytes_or_none(fields: Fields, name: str) -> bytes | None:
    return None if fields.get(name) is None else bytes.fromhex(fields[name])


def device_in(fields: Fields) -> identity.Device:
    device = fields["device"]
    return identity.Device(*(bytes_in(device, name) for name in ("device_public", "identity_seed", "agreement_secret")))


def secret_in(fields: Fields, name: str) -> x3dh.Secret | None:
    one = fields.get(name)
    return one and x3dh.Secret(one["id"], bytes_in(one, "secret"))


def hexes(**values: bytes) -> Fields:
    return {name: value.hex() for name, value in values.items()}


def agreed(agreement: x3dh.Agreement) -> Fields:
    return hexes(th=agreement.th, SK=agreement.sk, HK_A=agreement.hk_a, NHK_B=agreement.nhk_b)


# Sessions


def bundle(fields: Fields) -> Fields:
    device = device_in(fields)
    signed: list[list[bytes] | None] = []
    for name, kind in (("signed", prekeys.SIGNED), ("one_time", prekeys.ONE_TIME), ("kem", None)):
        one = secret_in(fields, name)
        if one is None:
            signed.append(None)
            continue
        public = kem.public_of_seed(one.secret) if name == "kem" else primitives.x25519_public(one.secret)
        prekey = prekeys.Prekey(kind or fields["kem"]["kind"], one.id, fields["created_at"], public)
        signed.append(prekeys.sign_prekey(device.identity_seed, device.public, prekey))
    return hexes(bundle=prekeys.encode_bundle(*signed))


def initiate(fields: Fields) -> Fields:
    peer_public = bytes_in(fields, "peer_public")
    their = prekeys.read_bundle(bytes_in(fields, "bundle"), peer_public)
    agreement, prelude = x3dh.initiate(
        fields["suite"],
        fields["mode"],
        fields["gen"],
        bytes_in(fields, "tenant_id"),
        device_in(fields),
        peer_public,
        their,
        bytes_or_none(fields, "psk"),
        bytes_in(fields, "ephemeral_secret"),
        bytes_or_none(fields, "kem_random"),
        bytes_or_none(fields, "chain"),
    )
    secret = bytes_in(fields, "ratchet_secret")
    session = ratchet.start_initiator(fields["suite"], agreement, prelude, their.signed.key, secret)
    sessions[fields["session"]] = session
    return agreed(agreement)


def respond(fields: Fields) -> Fields:
    blob, ciphertext = bytes_in(fields, "header_blob"), bytes_in(fields, "ciphertext")
    message = ratchet.split_blob(blob)
    require(message.prelude is not None, "peer: no prelude")
    prelude, signed = message.prelude, secret_in(fields, "signed")
    agreement = x3dh.respond(
        message.suite,
        bytes_in(fields, "tenant_id"),
        device_in(fields),
        bytes_in(fields, "peer_public"),
        prelude,
        signed,
        secret_in(fields, "one_time"),
        secret_in(fields, "kem"),
        bytes_or_none(fields, "psk"),
    )
    session = ratchet.start_responder(message.suite, agreement, prelude, signed.secret)
    session, kind, body = ratchet.receive(session, blob, ciphertext)
    sessions[fields["session"]] = session
    return agreed(agreement) | {"gen": prelude.gen, "mode": prelude.mode, "kind": kind, "body": body.hex()}


def send(fields: Fields) -> Fields:
    session, random = sessions[fields["session"]], bytes_in(fields, "random")
    secret_size = 32 if ratchet.needs_ratchet_key(session) else 0
    used = secret_size + primitives.nonce_size(session.suite)
    require(len(random) >= used, "peer: too little randomness")
    session, blob, ciphertext = ratchet.send(
        session,
        fields["kind"],
        bytes_in(fields, "body"),
        fields["block"],
        random[secret_size:used],
        random[:secret_size] or None,
    )
    sessions[fields["session"]] = session
    return hexes(header_blob=blob, ciphertext=ciphertext) | {"used": used}


def receive(fields: Fields) -> Fields:
    sealed = bytes_in(fields, "header_blob"), bytes_in(fields, "ciphertext")
    session, kind, body = ratchet.receive(sessions[fields["session"]], *sealed)
    sessions[fields["session"]] = session
    return {"kind": kind, "body": body.hex()}


def message_id(fields: Fields) -> Fields:
    names = "tenant_id", "sender", "recipient", "header_blob", "ciphertext"
    return hexes(message_id=ratchet.message_id(*(bytes_in(fields, name) for name in names)))


# Enrollment


def request(fields: Fields) -> Fields:
    device, keys = device_in(fields), invite.invite_keys(bytes_in(fields, "token"))
    sealed_name = invite.seal_name(keys, bytes_in(fields, "nonce"), fields["name"], fields["platform"])
    parts = device.public, bytes_in(fields, "bundle"), sealed_name
    made = enrollment.make_request(keys, device.identity_seed, *parts)
    return hexes(request=made, t=enrollment.transcript(keys.lookup, *parts))


def approve(fields: Fields) -> Fields:
    owner, keys = device_in(fields), invite.invite_keys(bytes_in(fields, "token"))
    read = enrollment.read_request(bytes_in(fields, "request"))
    enrollment.check_request(read, keys, fields["role"])
    name, platform = invite.open_name(keys, read.sealed_name)
    root, *above = enrollment.cbor.decode(bytes_in(fields, "chain"))
    ids = identity.tenant_id(root), identity.device_id(owner.public)
    cert = enrollment.make_cert(owner.identity_seed, ids[0], read.device, fields["issued_at"], ids[1])
    chain = enrollment.encode_chain(root, [cert, *above])
    grant = enrollment.Grant(
        chain,
        fields["origin"],
        bytes_in(fields, "link_key"),
        bytes_or_none(fields, "next_link_key") or enrollment.NO_KEY,
        [(bytes.fromhex(one), serial) for one, serial in fields["serials"]],
        b"",
    )
    t = enrollment.transcript_of(read)
    made = hexes(t=t, chain=chain, grant=enrollment.make_grant(keys.grant_key, t, grant))
    return {"name": name, "platform": platform} | made


def take_grant(fields: Fields) -> Fields:
    device, keys, t = device_in(fields), invite.invite_keys(bytes_in(fields, "token")), bytes_in(fields, "t")
    grant, tenant, owner = enrollment.check_grant(
        bytes_in(fields, "grant"),
        keys.grant_key,
        t,
        device.public,
        fields["origin"],
        bytes_or_none(fields, "inviter"),
        bytes_or_none(fields, "link_key"),
    )
    return hexes(
        tenant_id=tenant,
        owner_public=owner.device_public,
        link_key=grant.link_key,
        activation=enrollment.activation(device.identity_seed, t, grant.chain),
    )


# The Noise link


def link_initiate(fields: Fields) -> Fields:
    link_key, secret = bytes_in(fields, "link_key"), bytes_in(fields, "ephemeral_secret")
    state, message = link.initiate(link.start(link.prologue(fields["origin"]), link_key), secret, link_key)
    handshakes[fields["link"]] = state, secret
    return hexes(message=message)


def link_finish(fields: Fields) -> Fields:
    state, secret = handshakes[fields["link"]]
    links[fields["link"]] = link.finish_av1(state, bytes_in(fields, "message"), secret)
    return hexes(channel=link.channel(links[fields["link"]]))


def link_respond(fields: Fields) -> Fields:
    secrets = bytes_in(fields, "link_secret"), bytes_in(fields, "ephemeral_secret")
    made, answer = link.respond_av1(fields["origin"], bytes_in(fields, "message"), *secrets)
    links[fields["link"]] = made
    return hexes(message=answer, channel=link.channel(made))


def link_seal(fields: Fields) -> Fields:
    return hexes(message=link.seal_frame(links[fields["link"]], bytes_in(fields, "frame")))


def link_open(fields: Fields) -> Fields:
    return hexes(frame=link.open_frame(links[fields["link"]], bytes_in(fields, "message")))


SESSION_OPS = (bundle, initiate, respond, send, receive, message_id)
ENROLLMENT_OPS = (request, approve, take_grant)
LINK_OPS = (link_initiate, link_finish, link_respond, link_seal, link_open)
OPS = {function.__name__: function for function in SESSION_OPS + ENROLLMENT_OPS + LINK_OPS}


def main() -> None:
    for line in sys.stdin:
        try:
            fields = json.loads(line)
            answer = {"ok": True} | OPS[fields["op"]](fields)
        except Refused as refusal:
            answer = {"ok": False, "why": str(refusal)}
        except (KeyError, TypeError, ValueError) as mistake:  # the caller's: a field missing or of another form
            answer = {"ok": False, "why": f"peer: {type(mistake).__name__} {mistake}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
