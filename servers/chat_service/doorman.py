"""Who comes in, for how long, and how many at once. Runs on one event loop."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from labcore.protocols.tokens import Grant, KeySet, Revocations, Tickets
from servers.chat_service import contract

LAB_WORD: Final = "lab."
FAR_S: Final = 1e6  # seconds; a timer further away would only be set again
SCOPE: Final = "room"


class FullError(Exception):
    """There is no place for another stream."""


class Doorman:
    """Tokens, tickets, revocations, origins and places.

    Args:
        keys: make and read the tokens.
        lab: whether anybody may have a token, and `lab.<member>` is one for every room.
        most: streams at once.
        most_each: streams of one member at once.
    """

    def __init__(self, keys: KeySet, *, lab: bool, most: int, most_each: int) -> None:
        self._keys = keys
        self._lab = lab
        self._most = most
        self._most_each = most_each
        self._tickets = Tickets()
        self._revoked = Revocations()
        self._streams: Counter[str] = Counter()
        self._ends: dict[str, set[Callable[[], object]]] = {}
        self.refused_total = 0

    def bearer(self, connection: HTTPConnection) -> Grant:
        """Who presents this token. Raises: ProblemError (401)."""
        kind, _, token = connection.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise contract.unauthenticated("send `Authorization: Bearer <token>`")
        found = self._read(token.strip())
        if found is None or found in self._revoked:
            raise contract.unauthenticated("the token is not valid, or has ended")
        return found

    def member(self, connection: HTTPConnection, room: str) -> Grant:
        """Who presents a token for this room. Raises: ProblemError (401, 403)."""
        return _reaching(self.bearer(connection), room)

    def listener(self, connection: HTTPConnection, room: str) -> Grant:
        """Who may listen: by token, or by ticket; from no foreign page. Raises: ProblemError (401, 403)."""
        origin = connection.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != connection.headers.get("Host"):
            raise contract.forbidden(f"pages of {origin[:80]!r} may not listen here")
        ticket = connection.query_params.get("ticket")
        if ticket is None:
            return self.member(connection, room)
        found = self._tickets.redeem(ticket, connection.url.path, now_s=time.time())
        if found is None or found in self._revoked:
            raise contract.unauthenticated("the ticket is not valid, was used, or has ended")
        return _reaching(found, room)

    def mint(self, subject: str, scope: tuple[str, ...], ttl_s: float) -> str:
        """A token for anybody who asks. Raises: ProblemError (404) outside the lab."""
        if not self._lab:
            raise contract.ProblemError(contract.problem(404, "tokens are not made here"))
        granted = Grant(subject, scope, time.time() + ttl_s, secrets.token_hex(10))
        return self._keys.mint(granted)

    def ticket(self, granted: Grant, path: str) -> str:
        """A ticket for one stream. Raises: ProblemError (403, 422, 503)."""
        match = contract.PATH.fullmatch(path)
        if match is None:
            raise contract.invalid("#/path", f"must be of the form {contract.PATH.pattern}")
        ticket = self._tickets.issue(_reaching(granted, match[1]), path, now_s=time.time())
        if ticket is None:
            raise contract.ProblemError(contract.problem(503, "too many tickets are open"))
        return ticket

    def revoke(self, granted: Grant) -> None:
        """The token is worth nothing from now on, and its streams end."""
        self._revoked.revoke(granted, now_s=time.time())
        for end in tuple(self._ends.get(granted.jti, ())):
            end()

    def check_place(self, granted: Grant) -> None:
        """Whether there is a place, before anything is done for it. Raises: FullError."""
        who = granted.subject
        if self._streams.total() >= self._most or self._streams[who] >= self._most_each:
            self.refused_total += 1
            raise FullError

    @contextmanager
    def place(self, granted: Grant, end: Callable[[], object]) -> Iterator[None]:
        """A stream's place; `end` is called when its token ends. Raises: FullError."""
        self.check_place(granted)  # others may have come since
        who = granted.subject
        self._streams[who] += 1
        ends = self._ends.setdefault(granted.jti, set())
        ends.add(end)
        left_s = min(granted.expires_s - time.time(), FAR_S)
        timer = asyncio.get_running_loop().call_later(left_s, end)
        try:
            yield
        finally:
            timer.cancel()
            ends.discard(end)
            if not ends:
                self._ends.pop(granted.jti, None)
            self._streams[who] -= 1
            self._streams += Counter()  # forget who has none

    def gauges(self) -> Mapping[str, float]:
        """`streams` open, and how many were refused for want of a place."""
        return {"streams": self._streams.total(), "streams_refused_total": self.refused_total}

    def _read(self, token: str) -> Grant | None:
        if self._lab and token.startswith(LAB_WORD):
            name = token.removeprefix(LAB_WORD)
            known = contract.NAME.fullmatch(name) is not None
            return Grant(name, (f"{SCOPE}:*",), time.time() + FAR_S, token) if known else None
        return self._keys.read(token, now_s=time.time())


def _reaching(granted: Grant, room: str) -> Grant:
    if not granted.allows(SCOPE, room):
        raise contract.forbidden(f"the token has no scope {SCOPE}:{room}")
    return granted
