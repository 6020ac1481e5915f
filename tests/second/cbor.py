"""The CBOR of AV/1 (Conventions, "One encoding a value"): whole numbers, bstr, tstr, arrays, null, false, true."""

from typing import Any

from .primitives import Refused, require

UINT, BSTR, TSTR, ARRAY, SIMPLE = 0, 2, 3, 4, 7
SIMPLES = {20: False, 21: True, 22: None}


def head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise ValueError("beyond u64")


def encode(value: Any) -> bytes:
    if value is None or isinstance(value, bool):
        return bytes([SIMPLE << 5 | (22 if value is None else 20 + value)])
    if isinstance(value, int):
        return head(UINT, value)
    if isinstance(value, bytes):
        return head(BSTR, len(value)) + value
    if isinstance(value, str):
        return head(TSTR, len(value.encode())) + value.encode()
    return head(ARRAY, len(value)) + b"".join(encode(item) for item in value)


def decode_item(data: bytes, at: int) -> tuple[Any, int]:
    require(at < len(data), "cbor: cut")
    major, number = data[at] >> 5, data[at] & 31
    at += 1
    if major == SIMPLE:
        require(number in SIMPLES, "cbor: unknown simple value")
        return SIMPLES[number], at
    require(number < 28, "cbor: indefinite length")
    if number >= 24:
        size = 1 << number - 24
        require(at + size <= len(data), "cbor: cut")
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
        require(number >= (24 if size == 1 else 1 << 4 * size), "cbor: head not shortest")
    if major == UINT:
        return number, at
    if major in (BSTR, TSTR):
        require(at + number <= len(data), "cbor: cut")
        content = data[at : at + number]
        try:
            return (content if major == BSTR else content.decode()), at + number
        except UnicodeDecodeError:
            raise Refused("cbor: not UTF-8") from None
    require(major == ARRAY, "cbor: unknown type")
    items = []
    for _ in range(number):
        item, at = decode_item(data, at)
        items.append(item)
    return items, at


def decode(data: bytes) -> Any:
    value, end = decode_item(data, 0)
    require(end == len(data), "cbor: trailing bytes")
    return value


def fields(value: Any, *checks: Any) -> list[Any]:
    """An array of exactly these fields. A check is a type, the length of a bstr, or a tuple of such, of which one
    holds; `range` stands for a number's bounds."""
    require(isinstance(value, list) and len(value) == len(checks), "cbor: not an array of the right length")
    for item, check in zip(value, checks):
        alternatives = check if isinstance(check, tuple) else (check,)
        require(any(fits(item, one) for one in alternatives), "cbor: field of another type, length or range")
    return value


def fits(item: Any, check: Any) -> bool:
    if check is None:
        return item is None
    if isinstance(check, range):
        return type(item) is int and item in check
    if isinstance(check, int):
        return isinstance(item, bytes) and len(item) == check
    return type(item) is check


U8, U32, U64 = range(2**8), range(2**32), range(2**64)
