"""Signing and verifying deliveries by the Standard Webhooks scheme `v1`. Pure: time is an argument.

Source: Standard Webhooks 1.0.0, sections "Webhook headers (sending metadata)" and "Signature scheme";
RFC 2104 (HMAC).
"""

import base64
import binascii
import hashlib
import hmac
import secrets as entropy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from labcore.kernel import PeerError, UsageError

PREFIX: Final = "whsec_"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_S: Final = 300
MOST_SIGNATURES: Final = 16  # work that a stranger can ask for is bounded
_LEAST_KEY_BYTES: Final = 24
_MOST_KEY_BYTES: Final = 64


class SignatureError(PeerError):
    """A delivery that cannot be believed. The message never holds a secret nor a right signature."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A shared key of 24 to 64 random bytes. Its text form begins with `whsec_`; its repr hides it."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key that is too short to be safe. Raises: UsageError saying the length."""
        if not _LEAST_KEY_BYTES <= len(self.key) <= _MOST_KEY_BYTES:
            raise UsageError(
                f"a webhook secret of {len(self.key)} bytes; "
                f"give {_LEAST_KEY_BYTES} to {_MOST_KEY_BYTES} random ones"
            )

    @classmethod
    def generate(cls) -> "Secret":
        """A fresh one of 32 bytes."""
        return cls(entropy.token_bytes(32))

    @classmethod
    def parse(cls, text: str) -> "Secret":
        """From its text form. Raises: UsageError, without repeating the text."""
        try:
            return cls(base64.b64decode(text.removeprefix(PREFIX), validate=True))
        except binascii.Error as exc:
            raise UsageError(f"a webhook secret is {PREFIX} and base64; this text is not") from exc

    def text(self) -> str:
        """The form to hand to the partner, once."""
        return PREFIX + base64.b64encode(self.key).decode()


@dataclass(frozen=True, slots=True)
class Verified:
    """A delivery whose sender holds the secret."""

    message_id: str
    timestamp_s: int
    body: bytes


def sign(message_id: str, body: bytes, *, timestamp_s: int, secrets: Sequence[Secret]) -> str:
    """The value of `webhook-signature`: one entry a secret, so that a rotation loses no delivery.

    Args:
        message_id: the same over all attempts at a delivery.
        body: the very bytes that are sent.
        timestamp_s: Unix time of this attempt, seconds.
        secrets: the new one first, then those still valid.

    Raises: UsageError for an id that cannot be signed, or no secret.
    """
    if not secrets:
        raise UsageError("there is no secret to sign with; give at least one")
    if not message_id or "." in message_id or not message_id.isascii():
        raise UsageError(
            f"message_id={message_id!r} must be ASCII, not empty and without full stop"
        )
    return " ".join(f"v1,{_digest(each, message_id, timestamp_s, body)}" for each in secrets)


def signed_headers(
    message_id: str, body: bytes, *, timestamp_s: int, secrets: Sequence[Secret]
) -> dict[str, str]:
    """The three headers of a delivery. Raises: as `sign`."""
    signature = sign(message_id, body, timestamp_s=timestamp_s, secrets=secrets)
    return {ID: message_id, TIMESTAMP: str(timestamp_s), SIGNATURE: signature}


def verify(
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[Secret],
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> Verified:
    """The delivery, if one of the secrets signed it and it is fresh.

    Every given signature is compared with every secret in constant time. Remember `message_id` for at least
    the tolerance: a replay within it verifies too.

    Args:
        headers: names in any case.
        body: the bytes as they came, before any parsing.
        secrets: all that are valid now.
        now_s: Unix time, seconds.
        tolerance_s: how far the timestamp may lie from now, either way.

    Raises: SignatureError saying what was wrong.
    """
    named = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in (ID, TIMESTAMP, SIGNATURE) if not named.get(name)]
    if missing:
        raise SignatureError(f"the header {missing[0]!r} is missing")
    message_id, timestamp_s = named[ID], fresh(named[TIMESTAMP], now_s, tolerance_s)
    if "." in message_id:
        raise SignatureError(f"{ID} {message_id!r} holds a full stop")
    given = [entry[3:] for entry in named[SIGNATURE].split(" ") if entry.startswith("v1,")]
    if not given or len(given) > MOST_SIGNATURES:
        raise SignatureError(f"{SIGNATURE} holds {len(given)} entries of v1; expected 1 to 16")
    right = [_digest(secret, message_id, timestamp_s, body) for secret in secrets]
    if not any_equal(given, right):
        raise SignatureError(f"no signature of {message_id!r} is that of a valid secret")
    return Verified(message_id, timestamp_s, body)


def fresh(text: str, now_s: float, tolerance_s: float) -> int:
    """The timestamp, if it is a whole number near now. Raises: SignatureError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise SignatureError(f"the timestamp {text!r} is not a whole number of seconds")
    age_s = now_s - int(text)
    if abs(age_s) > tolerance_s:
        raise SignatureError(
            f"the timestamp lies {abs(age_s):.0f} s in the {'past' if age_s > 0 else 'future'}, "
            f"more than {tolerance_s:g}"
        )
    return int(text)


def any_equal(given: Sequence[str], right: Sequence[str]) -> bool:
    """Whether any of the given is right; the time it takes tells nothing about where they differ."""
    found = False
    for candidate in given:
        for each in right:
            found |= hmac.compare_digest(candidate.encode("utf-8", "replace"), each.encode())
    return found


def _digest(secret: Secret, message_id: str, timestamp_s: int, body: bytes) -> str:
    signed = b".".join((message_id.encode("utf-8", "replace"), str(timestamp_s).encode(), body))
    return base64.b64encode(hmac.digest(secret.key, signed, hashlib.sha256)).decode()
