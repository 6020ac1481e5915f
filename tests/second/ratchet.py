"""Section 7: messages, padding, the Double Ratchet with header encryption. A session is a value: sending and receiving
give a new one, so that a rejected input changes nothing (rule 1)."""

from typing import NamedTuple

from .primitives import (
    Refused,
    dh,
    h128,
    hmac_sha512,
    kdf,
    nonce_size,
    open_seal,
    require,
    seal,
    uint,
    with_length,
    x25519_public,
)
from .x3dh import Agreement, Prelude, encode_prelude, read_prelude

MOST_SKIPPED = 1000  # rule 3: a host's bound, of the store and of what one message skips, in the old chain and the new
KINDS = (1, 2, 3, 10, 11)
MOST_PAST_CHAINS = 4  # rule 2
END_OF_CHAIN = 2**31


class Message(NamedTuple):
    suite: int
    prelude: Prelude | None
    before_nonce: bytes
    nonce: bytes
    sealed_header: bytes


class Header(NamedTuple):
    key: bytes
    previous_count: int
    number: int


class PastChain(NamedTuple):
    header_key: bytes
    count: int  # the chain's PN, told by the first header of the chain after it


class Skipped(NamedTuple):
    header_key: bytes
    number: int
    message_key: bytes


class Session(NamedTuple):
    suite: int
    th: bytes
    root_key: bytes
    own_secret: bytes
    their_key: bytes | None
    step_due: bool  # the sending step is put off until this side sends
    send_chain: bytes | None
    send_header_key: bytes | None
    next_send_header_key: bytes
    sent: int
    previous_sent: int  # PN
    receive_chain: bytes | None
    receive_header_key: bytes | None
    next_receive_header_key: bytes
    received: int
    past: tuple[PastChain, ...]
    skipped: tuple[Skipped, ...]
    prelude_to_send: Prelude | None  # A, until B's first reply
    prelude_taken: Prelude | None  # B


# The layout


def split_blob(header_blob: bytes) -> Message:
    """Section 7, Message."""
    require(len(header_blob) >= 2, "message: cut")
    kind, suite = header_blob[:2]
    require(kind in (1, 2), "message: type")
    require(suite in (0x01, 0x02, 0x11, 0x12), "message: suite")
    at, prelude = 2, None
    if kind == 2:
        require(len(header_blob) >= 4, "message: cut")
        at = 4 + int.from_bytes(header_blob[2:4], "big")
        require(len(header_blob) >= at, "message: cut")
        prelude = read_prelude(header_blob[4:at], suite)
    end_of_nonce = at + nonce_size(suite)
    require(len(header_blob) == end_of_nonce + 56, "message: length")
    return Message(suite, prelude, header_blob[:at], header_blob[at:end_of_nonce], header_blob[end_of_nonce:])


def message_id(tenant: bytes, sender: bytes, recipient: bytes, header_blob: bytes, ciphertext: bytes) -> bytes:
    """Section 7."""
    x = tenant + sender + recipient + uint(len(header_blob), 4) + header_blob + ciphertext
    return h128("av1 message", x)


def pad(kind: int, body: bytes, block: int) -> bytes:
    """Section 7, Plaintext."""
    assert 1 <= block <= 1024
    plain = uint(kind, 1) + body + b"\x80"
    return plain + bytes(-len(plain) % block)


def strip(plain: bytes) -> tuple[int, bytes]:
    """Section 7, Plaintext: the receiver strips by content."""
    content = plain.rstrip(b"\0")
    require(len(content) >= 2 and content[-1] == 0x80, "plaintext: padding")
    return content[0], content[1:-1]


def encode_header(header: Header) -> bytes:
    return header.key + uint(header.previous_count, 4) + uint(header.number, 4)


def read_header(data: bytes) -> Header:
    return Header(data[:32], int.from_bytes(data[32:36], "big"), int.from_bytes(data[36:40], "big"))


# The chains


def root_step(root_key: bytes, secret: bytes, public: bytes) -> tuple[bytes, bytes, bytes]:
    """Section 7, root: RK', CK, NHK."""
    keys = kdf(root_key, dh(secret, public), b"AV1 root", 96)
    return keys[:32], keys[32:64], keys[64:]


def chain_step(chain_key: bytes) -> tuple[bytes, bytes]:
    """Section 7, chain: CK', MK."""
    keys = hmac_sha512(chain_key, b"AV1 chain\x01")
    return keys[:32], keys[32:]


def start_initiator(suite: int, agreement: Agreement, prelude: Prelude, signed_prekey: bytes, secret: bytes) -> Session:
    """Section 7, A. `secret`: its fresh ratchet key."""
    root_key, chain, next_header_key = root_step(agreement.sk, secret, signed_prekey)
    return Session(
        suite=suite,
        th=agreement.th,
        root_key=root_key,
        own_secret=secret,
        their_key=signed_prekey,
        step_due=False,
        send_chain=chain,
        send_header_key=agreement.hk_a,
        next_send_header_key=next_header_key,
        sent=0,
        previous_sent=0,
        receive_chain=None,
        receive_header_key=None,
        next_receive_header_key=agreement.nhk_b,
        received=0,
        past=(),
        skipped=(),
        prelude_to_send=prelude,
        prelude_taken=None,
    )


def start_responder(suite: int, agreement: Agreement, prelude: Prelude, signed_prekey_secret: bytes) -> Session:
    """Section 7, B."""
    return Session(
        suite=suite,
        th=agreement.th,
        root_key=agreement.sk,
        own_secret=signed_prekey_secret,
        their_key=None,
        step_due=False,
        send_chain=None,
        send_header_key=None,
        next_send_header_key=agreement.nhk_b,
        sent=0,
        previous_sent=0,
        receive_chain=None,
        receive_header_key=None,
        next_receive_header_key=agreement.hk_a,
        received=0,
        past=(),
        skipped=(),
        prelude_to_send=None,
        prelude_taken=prelude,
    )


# Sending


def needs_ratchet_key(session: Session) -> bool:
    """Whether the next message sent begins a chain, with a fresh ratchet key."""
    return session.step_due


def sending_step(session: Session, secret: bytes) -> Session:
    """Section 7: the second half of Signal's DHRatchetHE, put off until this side sends."""
    root_key, chain, next_header_key = root_step(session.root_key, secret, session.their_key)
    return session._replace(
        root_key=root_key,
        own_secret=secret,
        step_due=False,
        send_chain=chain,
        send_header_key=session.next_send_header_key,
        next_send_header_key=next_header_key,
        previous_sent=session.sent,
        sent=0,
    )


def send(
    session: Session, kind: int, body: bytes, block: int, nonce: bytes, ratchet_secret: bytes | None = None
) -> tuple[Session, bytes, bytes]:
    """Section 7: header_blob and ciphertext. `ratchet_secret` is given exactly if `needs_ratchet_key`."""
    require((ratchet_secret is not None) == needs_ratchet_key(session), "send: a ratchet key too many or too few")
    if ratchet_secret is not None:
        session = sending_step(session, ratchet_secret)
    require(session.send_chain is not None, "send: nothing received yet")
    require(session.sent < END_OF_CHAIN, "send: end of chain")
    require(len(nonce) == nonce_size(session.suite), "send: nonce")
    chain, message_key = chain_step(session.send_chain)
    header = Header(x25519_public(session.own_secret), session.previous_sent, session.sent)
    blob = bytes([2 if session.prelude_to_send else 1, session.suite])
    if session.prelude_to_send:
        blob += with_length(encode_prelude(session.prelude_to_send))
    sealed_header = seal(session.suite, session.send_header_key, nonce, encode_header(header), session.th + blob)
    blob += nonce + sealed_header
    ciphertext = seal(session.suite, message_key, nonce, pad(kind, body, block), session.th + blob)
    return session._replace(send_chain=chain, sent=session.sent + 1), blob, ciphertext


# Receiving


def skip_to(session: Session, number: int) -> Session:
    """Keeps the keys of the receiving chain from the next number up to `number`, exclusive (rule 3)."""
    chain, skipped = session.receive_chain, list(session.skipped)
    for n in range(session.received, number):
        chain, message_key = chain_step(chain)
        skipped.append(Skipped(session.receive_header_key, n, message_key))
    return session._replace(receive_chain=chain, received=number, skipped=tuple(skipped[-MOST_SKIPPED:]))


def receiving_step(session: Session, header: Header) -> Session:
    """Section 7: the first half of Signal's DHRatchetHE. The old chain is past, with its keys up to PN kept. A PN below
    what was opened of it, or above 0 before there was one, is a contradiction."""
    rest = header.previous_count - session.received
    require(rest >= 0 and (rest == 0 or session.receive_header_key is not None), "receive: PN")
    require(rest + header.number <= MOST_SKIPPED, "receive: jump")
    past = session.past
    if session.receive_header_key is not None:
        session = skip_to(session, header.previous_count)
        past = (*past, PastChain(session.receive_header_key, header.previous_count))[-MOST_PAST_CHAINS:]
    root_key, chain, next_header_key = root_step(session.root_key, session.own_secret, header.key)
    reachable = {one.header_key for one in past}
    return session._replace(
        root_key=root_key,
        their_key=header.key,
        step_due=True,
        receive_chain=chain,
        receive_header_key=session.next_receive_header_key,
        next_receive_header_key=next_header_key,
        received=0,
        past=past,
        skipped=tuple(one for one in session.skipped if one.header_key in reachable),
        prelude_to_send=None,
    )


def take_skipped(session: Session, header_key: bytes, number: int) -> tuple[Session, bytes]:
    for one in session.skipped:
        if one.header_key == header_key and one.number == number:
            rest = tuple(other for other in session.skipped if other is not one)
            return session._replace(skipped=rest), one.message_key
    raise Refused("receive: spent number")


def open_header(session: Session, message: Message) -> tuple[bytes, Header]:
    """Section 7, Trial order: current header key, next, past ones."""
    current, following = session.receive_header_key, session.next_receive_header_key
    for key in (current, following, *(one.header_key for one in reversed(session.past))):
        if key is None:
            continue
        try:
            plain = open_seal(session.suite, key, message.nonce, message.sealed_header, session.th + message.before_nonce)
        except Refused:
            continue
        return key, read_header(plain)
    raise Refused("receive: no header key")


def message_key_for(session: Session, header_key: bytes, header: Header) -> tuple[Session, bytes]:
    """The message's key, and the session as it is once the body has opened."""
    require(header.number < END_OF_CHAIN and header.previous_count <= END_OF_CHAIN, "receive: end of chain")
    for one in session.past:
        if header_key == one.header_key:
            require(header.number < one.count, "receive: beyond a past chain's end")
            return take_skipped(session, header_key, header.number)
    if header_key == session.next_receive_header_key:
        require(not session.step_due, "receive: a step before our answer to the last")
        session = receiving_step(session, header)
    else:
        require(header.key == session.their_key, "receive: another key in the same chain")
    if header.number < session.received:
        return take_skipped(session, header_key, header.number)
    require(header.number - session.received <= MOST_SKIPPED, "receive: jump")
    session = skip_to(session, header.number)
    chain, message_key = chain_step(session.receive_chain)
    return session._replace(receive_chain=chain, received=session.received + 1), message_key


def receive(session: Session, header_blob: bytes, ciphertext: bytes) -> tuple[Session, int, bytes]:
    """Section 7: the session to keep, the plaintext's kind and body. On Refused the old session stays. The session goes
    on after a kind that is not of KINDS, and the caller rejects the frame."""
    message = split_blob(header_blob)
    require(message.suite == session.suite, "receive: suite")
    if message.prelude is not None:  # its other fields stand in the associated data
        require(session.prelude_taken is not None, "receive: prelude of another session")
        require(message.prelude[:2] == session.prelude_taken[:2], "receive: prelude of another session")
    header_key, header = open_header(session, message)
    session, message_key = message_key_for(session, header_key, header)
    plain = open_seal(session.suite, message_key, message.nonce, ciphertext, session.th + header_blob)
    return session, *strip(plain)
