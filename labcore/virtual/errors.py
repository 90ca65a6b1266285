"""What the blocking facades raise, the same in every lane.

Drivers and clients have their own errors; they are translated here, once, so that the code of a lane
reads the same whether it waits on a thread, a greenlet or a task.
"""

from collections.abc import Iterator
from contextlib import contextmanager

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
    except (psycopg_pool.PoolClosed, psycopg.OperationalError) as exc:
        raise PeerError(f"the database connection was lost: {exc}") from exc


@contextmanager
def http_errors(method: str, url: str) -> Iterator[None]:
    """Translate what an HTTP client raises.

    Raises:
        TimeLimitExceededError: no complete answer within the time limit.
        PeerError: the connection failed, or the answer was not HTTP.
    """
    try:
        yield
    except (httpx.TransportError, TimeoutError) as exc:
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
