"""What the checks of several vector files share."""

from collections.abc import Callable
from typing import Any

from . import prekeys, primitives
from .primitives import Refused

Result = tuple[str, bool]
hexed = bytes.fromhex


def refused(because: str, function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether the call is refused, with a reason that begins so."""
    try:
        function(*arguments)
    except Refused as refusal:
        return str(refusal).startswith(because)
    return False


def bundle_of_secrets(seed: bytes, public: bytes, secrets: dict[str, Any], created_at: int) -> bytes:
    signed_id, one_time_id = secrets["ids"]
    signed = prekeys.Prekey(prekeys.SIGNED, signed_id, created_at, primitives.x25519_public(hexed(secrets["signed"])))
    one_time = prekeys.Prekey(
        prekeys.ONE_TIME, one_time_id, created_at, primitives.x25519_public(hexed(secrets["one_time"]))
    )
    return prekeys.encode_bundle(*(prekeys.sign_prekey(seed, public, one) for one in (signed, one_time)), None)
