"""A server of known behaviour, as small as a server can be: what the driver is judged against.

It parses and answers on uvloop and does nothing else. It can wait a fixed time before each answer,
and it can stand still, whole, for a part of each period; with both, what an open load *must* see
follows from the schedule alone (`true_latency_ns`).
"""

import asyncio
import time
from typing import Final, cast

import numpy as np
from httptools import HttpRequestParser
from numpy.typing import NDArray

from labcore.lanes import ChildContext
from labcore.measure.pacing import new_event_loop

TARGET: Final = "labcore.measure.reference:run"
NS_PER_S: Final = 1_000_000_000
ANSWER: Final = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
)


class Answering(asyncio.Protocol):
    """One connection: an answer to each request, after `delay_s`."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._parser = HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio hands the transport over."""
        # uvloop's transports have the methods of asyncio's and not its class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Requests, or parts of them."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """httptools: a request is whole."""
        if self._delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_s, self._transport.write, ANSWER)
        else:
            self._transport.write(ANSWER)


def run(context: ChildContext) -> None:
    """A child process that serves until it is stopped.

    Setting: `delay_s` before each answer; `stall_s` and `period_s`: the process stands still for the
    first `stall_s` of every period after the first (0: never). Ready with `url` and `began_ns`, the
    monotonic time from which periods count.
    """
    setting = context.setting
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(context, **{name: setting.get(name, 0.0) for name in _NAMES}))


_NAMES: Final = ("delay_s", "stall_s", "period_s")


async def _serve(context: ChildContext, *, delay_s: float, stall_s: float, period_s: float) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    context.on_stop(lambda: loop.call_soon_threadsafe(ended.set))
    server = await loop.create_server(lambda: Answering(delay_s), "127.0.0.1", 0, backlog=4_096)
    began_ns = time.monotonic_ns()
    stalling = loop.create_task(_stall(began_ns, stall_s=stall_s, period_s=period_s))
    port = server.sockets[0].getsockname()[1]
    context.ready(url=f"http://127.0.0.1:{port}", began_ns=began_ns)
    await ended.wait()
    stalling.cancel()
    server.close()


async def _stall(began_ns: int, *, stall_s: float, period_s: float) -> None:
    if not stall_s:
        return
    turn = 1
    while True:
        from_ns = began_ns + int(turn * period_s * NS_PER_S)
        await asyncio.sleep((from_ns - time.monotonic_ns()) / NS_PER_S)
        until_ns = from_ns + int(stall_s * NS_PER_S)
        time.sleep(max(0, until_ns - time.monotonic_ns()) / NS_PER_S)  # noqa: ASYNC251 - the point
        turn += 1


def true_latency_ns(
    intended_ns: NDArray[np.int64], *, began_ns: int, stall_s: float, period_s: float
) -> NDArray[np.int64]:
    """What each arrival must wait for the end of a stall, by arithmetic; 0 outside of stalls."""
    period_ns, stall_ns = int(period_s * NS_PER_S), int(stall_s * NS_PER_S)
    age = intended_ns - began_ns
    into = age % period_ns
    return np.where((into < stall_ns) & (age >= period_ns), stall_ns - into, 0)
