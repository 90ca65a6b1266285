"""A subscriber that comes back: where it broke off, as soon as it may, until it is told to stop."""

import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from enum import Enum

import anyio
import httpx

from labcore.kernel import PeerError
from labcore.protocols.sse.codec import Decoder, ServerSentEvent
from labcore.protocols.sse.reconnection import MEDIA_TYPE, Answer, Reconnection, judge_answer


class EventSourceState(Enum):
    """The three states of the standard's EventSource."""

    CONNECTING = 0
    OPEN = 1
    CLOSED = 2


class EventSource:
    """The events of a URL, across reconnections.

    Iterate it: `async for event in source`. The iteration ends when the server answers 204, and
    raises where it never can go on. Cancelling it, or leaving it under `aclosing`, closes the connection.
    One iteration at a time; `last_event_id` and `state` may be read at any time.

    Differs from a browser in one rule: 429, 502, 503 and 504 mean *later* (`Retry-After` in seconds is
    obeyed) where a browser would give up for good.

    Args:
        client: the HTTP client; its own time limits do not apply to the stream.
        url: of the stream.
        headers: further request headers, a bearer token for example.
        last_event_id: where to begin; empty asks for what the server gives newcomers.
        reconnection: the waits.
        idle_timeout_s: a stream silent for so long, heartbeats included, is taken for dead.
        on_state: called at each change of state.
        draw: uniform in 0..1, for the jitter.

    Source: WHATWG HTML, section 9.2; RFC 9110 section 10.2.3.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        last_event_id: str = "",
        reconnection: Reconnection | None = None,
        idle_timeout_s: float = 45.0,
        on_state: Callable[[EventSourceState], object] | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.last_event_id = last_event_id
        self.reconnects = 0
        self.state = EventSourceState.CONNECTING
        self._client = client
        self._url = url
        self._headers = dict(headers or {})
        self._reconnection = reconnection or Reconnection()
        self._timeout = httpx.Timeout(idle_timeout_s, pool=None)
        self._on_state = on_state
        self._draw = draw
        self._retry_ms: int | None = None
        self._failures = 0

    async def __aiter__(self) -> AsyncGenerator[ServerSentEvent, None]:
        """The events. Raises: PeerError for an answer that is no stream and never will be one."""
        try:
            while True:
                after_s: float | None = None
                self._failures += 1  # until an event says otherwise
                # Refused, cut or silent: what coming back is for.
                with suppress(httpx.TransportError):
                    async with self._ask() as response:
                        answer = judge_answer(
                            response.status_code, response.headers.get("content-type", "")
                        )
                        if answer is Answer.END:
                            return
                        if answer is Answer.STREAM:
                            async with aclosing(self._read(response)) as events:
                                async for event in events:
                                    yield event
                        after_s = self._after(answer, response)
                self._enter(EventSourceState.CONNECTING)
                await anyio.sleep(self._wait_s(after_s))
                self.reconnects += 1
        finally:
            self._enter(EventSourceState.CLOSED)

    def _ask(self) -> AbstractAsyncContextManager[httpx.Response]:
        headers = {"Accept": MEDIA_TYPE, "Cache-Control": "no-store", **self._headers}
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        return self._client.stream("GET", self._url, headers=headers, timeout=self._timeout)

    async def _read(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        self._enter(EventSourceState.OPEN)
        decoder = Decoder(last_event_id=self.last_event_id)
        decoder.retry_ms = self._retry_ms
        async for piece in response.aiter_bytes():
            events = decoder.feed(piece)
            self._retry_ms = decoder.retry_ms
            for event in events:
                self._failures = 0
                self.last_event_id = event.last_event_id
                yield event
            self.last_event_id = decoder.last_event_id  # a block without data moves it too

    def _after(self, answer: Answer, response: httpx.Response) -> float | None:
        """The server's own wish for the wait. Raises: PeerError when asking again is no use."""
        if answer is Answer.REFUSED:
            kind = response.headers.get("content-type", "no content type")
            raise PeerError(
                f"{self._url} answered {response.status_code} with {kind}; a stream is 200 with {MEDIA_TYPE}"
            )
        if answer is Answer.STREAM:
            return None
        wish = response.headers.get("retry-after", "")
        return float(wish) if wish.isascii() and wish.isdigit() and len(wish) < 8 else None

    def _wait_s(self, after_s: float | None) -> float:
        wait_s = self._reconnection.wait_s(
            self._failures, retry_ms=self._retry_ms, draw=self._draw()
        )
        return wait_s if after_s is None else max(wait_s, after_s)

    def _enter(self, state: EventSourceState) -> None:
        if state is not self.state:
            self.state = state
            if self._on_state is not None:
                self._on_state(state)
