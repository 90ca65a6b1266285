"""Who may do what, for how long: signed tokens, one-use tickets, revocations. Pure: time is an argument.

A token is a compact JWS with HMAC-SHA-256; `sub`, `scope`, `jti` and `exp` are its claims. Everything is
kept out of representations and messages.

Source: RFC 7515 (JWS), RFC 7519 (claims), RFC 8725 section 3.1 (one algorithm, never the token's choice).
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

TICKET_S: Final = 30.0
MOST_TICKETS: Final = 10_000
MOST_TOKEN_CHARS: Final = 8_192
_HEAD: Final = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")


@dataclass(frozen=True, slots=True)
class Pass:
    """What a valid token says. `expires_s` is Unix time."""

    subject: str
    scope: tuple[str, ...]
    expires_s: float
    jti: str

    def allows(self, kind: str, name: str) -> bool:
        """Whether the scope holds `kind:name` or all of the kind."""
        return f"{kind}:{name}" in self.scope or f"{kind}:*" in self.scope


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes tokens and reads them."""

    key: bytes = field(repr=False)

    def mint(self, granted: Pass) -> str:
        """The token that says so."""
        claims = {
            "sub": granted.subject,
            "scope": list(granted.scope),
            "exp": granted.expires_s,
            "jti": granted.jti,
        }
        signed = _HEAD + b"." + _text(json.dumps(claims, separators=(",", ":")).encode())
        return (signed + b"." + _text(self._signature(signed))).decode()

    def read(self, token: str, *, now_s: float) -> Pass | None:
        """What the token says; None for one that is not ours, is spoilt, or has ended."""
        if len(token) > MOST_TOKEN_CHARS or not token.isascii():
            return None
        signed, _, signature = token.encode().rpartition(b".")
        if not hmac.compare_digest(_text(self._signature(signed)), signature):
            return None
        head, _, claims = signed.partition(b".")
        if head != _HEAD:
            return None
        found = _pass_of(json.loads(base64.urlsafe_b64decode(claims + b"=" * (-len(claims) % 4))))
        return found if now_s < found.expires_s else None

    def _signature(self, signed: bytes) -> bytes:
        return hmac.digest(self.key, signed, hashlib.sha256)


@dataclass(slots=True)
class Tickets:
    """One-use stand-ins for a token in a URL, which browsers cannot give a header to."""

    lifetime_s: float = TICKET_S
    _open: dict[str, tuple[Pass, str, float]] = field(default_factory=dict, repr=False)

    def issue(self, granted: Pass, path: str, *, now_s: float) -> str | None:
        """A ticket for this path; None while too many are open."""
        self._open = {name: held for name, held in self._open.items() if held[2] > now_s}
        if len(self._open) >= MOST_TICKETS:
            return None
        ticket = secrets.token_urlsafe(24)
        self._open[ticket] = (granted, path, now_s + self.lifetime_s)
        return ticket

    def redeem(self, ticket: str, path: str, *, now_s: float) -> Pass | None:
        """Whose it is; None if it was used, is too old, was for another path, or its token has ended."""
        granted, wanted, until_s = self._open.pop(ticket, (None, "", 0.0))
        if granted is None or wanted != path or now_s >= min(until_s, granted.expires_s):
            return None
        return granted


@dataclass(slots=True)
class Revocations:
    """Tokens that ended before their time; each is remembered until it would have ended anyway."""

    _until_s: dict[str, float] = field(default_factory=dict)

    def revoke(self, granted: Pass, *, now_s: float) -> None:
        """From now on the token is worth nothing."""
        self._until_s = {jti: end_s for jti, end_s in self._until_s.items() if end_s > now_s}
        self._until_s[granted.jti] = granted.expires_s

    def __contains__(self, granted: Pass) -> bool:
        return granted.jti in self._until_s


def _text(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _pass_of(claims: dict[str, Any]) -> Pass:
    return Pass(claims["sub"], tuple(claims["scope"]), float(claims["exp"]), claims["jti"])
