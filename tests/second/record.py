"""Section 8, Records: the seal of a stored record."""

from .primitives import require, xchacha_open, xchacha_seal

VERSION = b"\x01"


def seal_record(seal_key: bytes, record_key: bytes, nonce: bytes, record: bytes) -> bytes:
    """Section 8. record = generation(u64) ‖ mark(u64) ‖ content; record_key = kind(1) ‖ index(u16)."""
    return VERSION + nonce + xchacha_seal(seal_key, nonce, record, b"AV1 record" + record_key + VERSION)


def open_record(seal_key: bytes, record_key: bytes, sealed: bytes) -> bytes:
    """Section 8."""
    require(len(sealed) >= 1 + 24 + 16, "record: length")
    require(sealed[:1] == VERSION, "record: version")
    return xchacha_open(seal_key, sealed[1:25], sealed[25:], b"AV1 record" + record_key + VERSION)
