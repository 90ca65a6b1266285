"""Who may do what, for how long: signed tokens, one-use tickets, revocations. Pure: time is an argument.

A token is a JSON Web Token signed by HMAC-SHA-256 with a key of a set; its head names the key (`kid`), so
that keys can be changed while tokens of the old one are still about. A ticket stands in for a token in a
URL, which browsers can give no header to, and is worth nothing once it was used. Nothing secret is shown in
a representation or said in an error.

Source: RFC 7519 (claims), RFC 7515 section 4.1.4 (`kid`), RFC 8725 section 3.1 (one algorithm, never the
token's choice), RFC 6750 (bearer tokens).
"""

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from jwt.types import Options

from labcore.kernel import UsageError

ALGORITHM: Final = "HS256"
LEAST_KEY_BYTES: Final = 32  # as long as the digest: RFC 7518, section 3.2
TICKET_S: Final = 30.0
MOST_TICKETS: Final = 10_000
MOST_TOKEN_CHARS: Final = 8_192
_REQUIRED: Final = ("sub", "scope", "exp", "jti")
# Time is judged here, by the caller's clock, and by nobody else's.
_OPTIONS: Final[Options] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "require": list(_REQUIRED),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token says. `expires_s` is Unix time, in seconds."""

    subject: str
    scope: tuple[str, ...]
    expires_s: float
    jti: str = field(default_factory=lambda: secrets.token_hex(10))

    def allows(self, kind: str, name: str) -> bool:
        """Whether the scope holds `kind:name`, or all of the kind as `kind:*`."""
        return f"{kind}:{name}" in self.scope or f"{kind}:*" in self.scope


@dataclass(frozen=True, slots=True)
class KeySet:
    """Makes tokens with the newest key, and reads those of every key it has.

    Args:
        keys: by name, the newest last; to rotate, add one, and drop the oldest once its tokens have ended.

    Raises: UsageError for no key, or one shorter than 32 bytes.
    """

    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.keys:
            raise UsageError("a key set needs a key")
        short = [name for name, key in self.keys.items() if len(key) < LEAST_KEY_BYTES]
        if short:
            raise UsageError(f"key {short[0]!r} is shorter than {LEAST_KEY_BYTES} bytes")
        object.__setattr__(self, "keys", dict(self.keys))

    @property
    def newest(self) -> str:
        """The name of the key that signs."""
        return next(reversed(list(self.keys)))

    def rotated(self, name: str, key: bytes, *, keep: int = 1) -> "KeySet":
        """A set that signs with this key from now on, and still reads the tokens of so many before."""
        if name in self.keys:
            raise UsageError(f"there is a key {name!r} already; give the new one its own name")
        old = list(self.keys.items())[-keep:] if keep else []
        return KeySet({**dict(old), name: key})

    def mint(self, grant: Grant) -> str:
        """The token that says so."""
        claims = {
            "sub": grant.subject,
            "scope": list(grant.scope),
            "exp": grant.expires_s,
            "jti": grant.jti,
        }
        name = self.newest
        return jwt.encode(claims, self.keys[name], algorithm=ALGORITHM, headers={"kid": name})

    def read(self, token: str, *, now_s: float) -> Grant | None:
        """What the token says; None for one that is not ours, is spoilt, or has ended."""
        if len(token) > MOST_TOKEN_CHARS or not token.isascii():
            return None
        try:
            key = self.keys.get(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                return None
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], options=_OPTIONS)
        except (jwt.InvalidTokenError, ValueError):
            return None
        found = _grant_of(claims)
        return found if found is not None and now_s < found.expires_s else None


@dataclass(slots=True)
class Tickets:
    """One-use stand-ins for a token in a URL; kept in memory, so by one process."""

    lifetime_s: float = TICKET_S
    _open: dict[str, tuple[Grant, str, float]] = field(default_factory=dict, repr=False)

    def issue(self, grant: Grant, path: str, *, now_s: float) -> str | None:
        """A ticket for this path; None while too many are open."""
        self._open = {name: held for name, held in self._open.items() if held[2] > now_s}
        if len(self._open) >= MOST_TICKETS:
            return None
        ticket = secrets.token_urlsafe(24)
        self._open[ticket] = (grant, path, now_s + self.lifetime_s)
        return ticket

    def redeem(self, ticket: str, path: str, *, now_s: float) -> Grant | None:
        """Whose it is; None if it was used, is too old, was for another path, or its token has ended."""
        grant, wanted, until_s = self._open.pop(ticket, (None, "", 0.0))
        if grant is None or wanted != path or now_s >= min(until_s, grant.expires_s):
            return None
        return grant


@dataclass(slots=True)
class Revocations:
    """Tokens that ended before their time; each is remembered until it would have ended anyway."""

    _until_s: dict[str, float] = field(default_factory=dict, repr=False)

    def revoke(self, grant: Grant, *, now_s: float) -> None:
        """From now on the token is worth nothing."""
        self._until_s = {jti: end_s for jti, end_s in self._until_s.items() if end_s > now_s}
        self._until_s[grant.jti] = grant.expires_s

    def __contains__(self, grant: Grant) -> bool:
        return grant.jti in self._until_s


def _grant_of(claims: Mapping[str, Any]) -> Grant | None:
    """The grant in claims that were signed with our key; None where they are none of ours all the same."""
    subject, scope, expires_s, jti = (claims[name] for name in _REQUIRED)
    texts = isinstance(scope, list) and all(
        isinstance(each, str) for each in (subject, jti, *scope)
    )
    number = isinstance(expires_s, (int, float)) and not isinstance(expires_s, bool)
    if not texts or not number or not math.isfinite(expires_s):
        return None
    return Grant(subject, tuple(scope), float(expires_s), jti)
