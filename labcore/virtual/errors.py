"""What the blocking facades raise, the same in every lane.

Drivers and clients have their own errors; they are translated here, once, so that the code of a lane
reads the same whether it waits on a thread, a greenlet or a task.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import httpx
import psycopg
import psycopg_pool

from labcore.kernel import PeerError, RefusedError


class TimeLimitExceededError(RefusedError):
    """A call took longer than its time limit; the other side may have done the work."""


class PoolExhaustedError(RefusedError):
    """No database connection came free within the time allowed."""


@contextmanager
def database_errors() -> Iterator[None]:
    """Translate what a pool and a connection raise; errors of the SQL itself pass through.

    Raises:
        PoolExhaustedError: the pool had no connection in time.
        PeerError: the connection to PostgreSQL was lost.
    """
    try:
        yield
    except psycopg_pool.PoolTimeout as exc:
        raise PoolExhaustedError(f"no database connection came free in time: {exc}") from exc
    except psycopg.Error as exc:
        if not _is_lost(exc):
            raise
        raise PeerError(f"the database connection was lost: {exc}") from exc


@contextmanager
def opening_errors(within_s: float) -> Iterator[None]:
    """Translate what opening a pool raises.

    Raises:
        PeerError: PostgreSQL did not give all connections in time.
    """
    try:
        yield
    except psycopg_pool.PoolTimeout as exc:
        raise PeerError(
            f"PostgreSQL did not give the pool all its connections within {within_s:g} s; "
            "is the server up, and its max_connections high enough?"
        ) from exc


def _is_lost(error: psycopg.Error) -> bool:
    # Deadlocks and cancelled queries are operational errors too, yet the connection lives on. What the
    # client itself notices has no code; the server's last words have one of these.
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(("08", "57P")) or error.sqlstate == "25P03"


@contextmanager
def http_errors(method: str, url: str) -> Iterator[None]:
    """Translate what an HTTP client raises.

    Raises:
        TimeLimitExceededError: no complete answer within the time limit.
        PeerError: the connection failed, or the answer was not HTTP or could not be decoded.
    """
    try:
        yield
    except (
        httpx.RequestError,
        aiohttp.ClientError,
        TimeoutError,
    ) as exc:  # the transport leaks some
        if _is_timeout(exc):
            raise TimeLimitExceededError(
                f"{method} {url}: no answer within the time limit"
            ) from exc
        raise PeerError(f"{method} {url}: {type(exc).__name__}: {exc}") from exc


def _is_timeout(error: Exception) -> bool:
    # aiohttp's transport reports a refused connection as a connect timeout; its cause knows better.
    cause = error.__cause__
    refused = isinstance(cause, OSError) and not isinstance(cause, TimeoutError)
    return isinstance(error, (TimeoutError, httpx.TimeoutException)) and not refused
