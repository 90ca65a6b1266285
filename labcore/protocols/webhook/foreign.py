"""The signatures of two well-known senders, to be verified beside the standard's own.

Source: GitHub Docs, "Validating webhook deliveries"; Stripe Docs, "Verify webhook signatures manually".
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from labcore.protocols.webhook.signature import (
    MOST_SIGNATURES,
    TOLERANCE_S,
    SignatureError,
    any_equal,
    fresh,
)


def verify_github(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes]) -> None:
    """`X-Hub-Signature-256: sha256=<hex>` over the body. It has no time in it: replays verify.

    Raises: SignatureError.
    """
    value = _header(headers, "x-hub-signature-256")
    scheme, _, given = value.partition("=")
    if scheme != "sha256":
        raise SignatureError(f"X-Hub-Signature-256 begins with {scheme!r}; expected sha256=")
    if not any_equal([given], [_hex(secret, body) for secret in secrets]):
        raise SignatureError("X-Hub-Signature-256 is not that of a valid secret")


def verify_stripe(
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[bytes],
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> int:
    """`Stripe-Signature: t=…,v1=…` over `t.body`; several `v1` while a secret rotates.

    Returns: the timestamp, Unix seconds. Raises: SignatureError.
    """
    parts = [part.partition("=") for part in _header(headers, "stripe-signature").split(",")]
    times = [value for name, _, value in parts if name.strip() == "t"]
    given = [value for name, _, value in parts if name.strip() == "v1"]
    if len(times) != 1 or not 1 <= len(given) <= MOST_SIGNATURES:
        raise SignatureError("Stripe-Signature needs one t and at least one v1")
    timestamp_s = fresh(times[0], now_s, tolerance_s)
    signed = f"{timestamp_s}.".encode() + body
    if not any_equal(given, [_hex(secret, signed) for secret in secrets]):
        raise SignatureError("no v1 of Stripe-Signature is that of a valid secret")
    return timestamp_s


def _header(headers: Mapping[str, str], name: str) -> str:
    for key, value in headers.items():
        if key.lower() == name:
            return value
    raise SignatureError(f"the header {name!r} is missing")


def _hex(secret: bytes, signed: bytes) -> str:
    return hmac.digest(secret, signed, hashlib.sha256).hex()
