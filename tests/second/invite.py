"""Section 3: an invite's text, URL, keys, and the sealed name."""

import base64
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import quote, unquote

from .primitives import (
    Refused,
    h256,
    kdf,
    key_symbols,
    key_text,
    read_key_text,
    require,
    xchacha_open,
    xchacha_seal,
)


class InviteKeys(NamedTuple):
    lookup: bytes
    enroll_key: bytes
    grant_key: bytes
    psk: bytes
    name_key: bytes


class InviteUrl(NamedTuple):
    origin: str
    link_key: bytes | None
    owner: bytes | None
    token: bytes


def invite_text(token: bytes) -> str:
    """Section 3, Text."""
    return key_text("av1", key_symbols(token, "av1 invite", 20))


def read_invite_text(text: str) -> bytes:
    """Section 3, Text."""
    return read_key_text(text, "av1", 20, "av1 invite", 20)


def invite_url(url: InviteUrl) -> str:
    """Section 3, URL."""
    text = f"av1:?relay={quote(url.origin, safe='')}"
    if url.link_key is not None:
        text += f"&key={base64url(url.link_key)}"
    if url.owner is not None:
        text += f"&owner={url.owner.hex()}"
    return f"{text}#{key_symbols(url.token, 'av1 invite', 20)}"


def read_invite_url(text: str) -> InviteUrl:
    """Section 3, URL. Every parameter at most once, in any order; relay and the token must be there."""
    require(text.startswith("av1:?") and text.count("#") == 1, "url: scheme")
    query, symbols = text[len("av1:?") :].split("#")
    pairs = [pair.partition("=")[::2] for pair in query.split("&")]
    found = dict(pairs)
    require(len(found) == len(pairs), "url: a parameter twice")
    require("relay" in found and found.keys() <= {"relay", "key", "owner"}, "url: parameters")
    require(re.fullmatch(r"(%[0-9A-Fa-f]{2}|[^%])+", found["relay"]) is not None, "url: relay")
    link_key = read_base64url(found["key"]) if "key" in found else None
    require("owner" not in found or re.fullmatch(r"[0-9A-Fa-f]{32}", found["owner"]) is not None, "url: owner")
    owner = bytes.fromhex(found["owner"]) if "owner" in found else None
    return InviteUrl(unquote(found["relay"]), link_key, owner, read_invite_text(symbols))


def base64url(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def read_base64url(text: str) -> bytes:
    """43 symbols, of which the last has two bits to spare: zeros."""
    require(re.fullmatch(r"[A-Za-z0-9_-]{43}", text) is not None, "url: key")
    key = base64.urlsafe_b64decode(text + "=")
    require(base64url(key) == text, "url: key")
    return key


def invite_keys(token: bytes) -> InviteKeys:
    """Section 3, the table of keys."""
    keys = kdf(b"AV1 invite", token, b"", 160)
    return InviteKeys(*(keys[i : i + 32] for i in range(0, 160, 32)))


def lookup_hash(lookup: bytes) -> bytes:
    """Section 3: what the relay stores."""
    return h256("av1 lookup", lookup)


def is_name(text: str, most_bytes: int) -> bool:
    return len(text.encode()) <= most_bytes and not any(map(is_invisible, text))


def is_invisible(c: str) -> bool:
    """Section 3: control characters, format characters (soft hyphen, zero-width, direction, isolates, BOM, tags) and
    separators of lines and paragraphs: Unicode's Cc, Cf, Zl, Zp."""
    return unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")


def seal_name(keys: InviteKeys, nonce: bytes, name: str, platform: str) -> bytes:
    """Section 3, Sealed name."""
    assert is_name(name, 40) and is_name(platform, 22)
    plain = (name.encode() + b"\0" + platform.encode() + b"\x80").ljust(64, b"\0")
    return nonce + xchacha_seal(keys.name_key, nonce, plain, keys.lookup)


def open_name(keys: InviteKeys, sealed: bytes) -> tuple[str, str]:
    """Section 3, Sealed name."""
    require(len(sealed) == 104, "name: length")
    content = xchacha_open(keys.name_key, sealed[:24], sealed[24:], keys.lookup).rstrip(b"\0")
    require(content.endswith(b"\x80") and b"\0" in content, "name: layout")
    name, platform = content[:-1].split(b"\0", 1)
    try:
        texts = name.decode(), platform.decode()
    except UnicodeDecodeError:
        raise Refused("name: not UTF-8") from None
    require(is_name(texts[0], 40) and is_name(texts[1], 22), "name: too long or with control characters")
    return texts
