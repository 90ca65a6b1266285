"""One attempt over HTTP, in both colours of waiting: what was answered, or why nothing was.

A redirect is an answer and is not followed; of the body only so much is read as lets the connection be used
again. The time limit is over the whole exchange.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import httpx

from labcore.kernel import LabError, utc_now
from labcore.resilience import TimeLimitExceededError, parse_retry_after
from labcore.virtual import await_, http_errors
from servers.partner_webhook_dispatcher.domain import Call, Outcome
from servers.partner_webhook_dispatcher.outbound import PlatformClient

MOST_ANSWER_BYTES = 16 * 1024


class Send(Protocol):
    """Blocking style: the outcome of one attempt."""

    def __call__(self, call: Call, /) -> Outcome:
        """Send it; never raises for what the endpoint does."""
        ...


SendAsync = Callable[[Call], Awaitable[Outcome]]


def async_send(http: httpx.AsyncClient) -> SendAsync:
    """Attempts on an event loop."""

    async def send(call: Call) -> Outcome:
        began_s = time.monotonic()
        try:
            with http_errors("POST", call.url):
                async with (
                    asyncio.timeout(call.timeout_s),
                    http.stream(
                        "POST", call.url, content=call.body, headers=call.headers, timeout=None
                    ) as reply,
                ):
                    await _drained(reply)
        except LabError as exc:
            return unanswered(exc, began_s)
        return answered(reply, began_s)

    return send


def virtual_send(http: httpx.AsyncClient) -> Send:
    """Attempts of virtual threads: the same client, awaited for them."""
    send = async_send(http)
    return lambda call: await_(_sent(send, call))


def platform_send(http: PlatformClient) -> Send:
    """Attempts of platform threads, each blocked for its own."""

    def send(call: Call) -> Outcome:
        began_s = time.monotonic()
        http.deadline.set(call.timeout_s)
        try:
            with (
                http_errors("POST", call.url),
                http.stream("POST", call.url, content=call.body, headers=call.headers) as reply,
            ):
                _drain(reply)
        except LabError as exc:
            return unanswered(exc, began_s)
        return answered(reply, began_s)

    return send


def answered(reply: httpx.Response, began_s: float) -> Outcome:
    """The outcome of an attempt that got an answer."""
    wished = parse_retry_after(reply.headers.get("Retry-After", ""), at=utc_now())
    return Outcome(reply.status_code, None, _since_ms(began_s), wished)


def unanswered(error: LabError, began_s: float) -> Outcome:
    """The outcome of an attempt that got none."""
    late = isinstance(error, TimeLimitExceededError)
    return Outcome(None, "no answer in time" if late else str(error), _since_ms(began_s))


async def _sent(send: SendAsync, call: Call) -> Outcome:
    return await send(call)


async def _drained(reply: httpx.Response) -> None:
    size = 0
    async for chunk in reply.aiter_raw():
        size += len(chunk)
        if size > MOST_ANSWER_BYTES:
            return


def _drain(reply: httpx.Response) -> None:
    size = 0
    for chunk in reply.iter_raw():
        size += len(chunk)
        if size > MOST_ANSWER_BYTES:
            return


def _since_ms(began_s: float) -> float:
    return (time.monotonic() - began_s) * 1e3
