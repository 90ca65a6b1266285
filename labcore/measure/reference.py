"""A server of known behaviour, as small as a server can be: what the driver is judged against.

It parses and answers on uvloop and does nothing else. It holds each request for a known time, in a
known number of slots, and it can stand still, whole, for a part of each period. With these rules what
an open load *must* see follows from its schedule alone (`queue_latency_ns`, `stall_latency_ns`); and
since no timer is perfect, the server stamps what it really did, so that its error is told from the
driver's.
"""

import asyncio
import heapq
import itertools
import time
from typing import Any, Final, cast

import numpy as np
from httptools import HttpRequestParser
from numpy.typing import NDArray

from labcore.lanes import ChildContext
from labcore.measure.driver import raise_file_limit
from labcore.measure.pacing import best_pacer, new_event_loop

TARGET: Final = "labcore.measure.reference:run"
ACCOUNT: Final = "account"  # the event with which a stopped server hands its stamps over
NS_PER_S: Final = 1_000_000_000
ANSWER: Final = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
)
UNNUMBERED: Final = -1
BACKLOG: Final = 4_096
SPIN_NS: Final = (
    100_000  # awake so long before an answer is due: timers are late, and by how much varies
)

monotonic_ns = time.monotonic_ns
Stamps = NDArray[np.int64]


class Slots:
    """First come, first served, so many at a time: the rule of the server and of the truth alike."""

    def __init__(self, count: int) -> None:
        self._free_at_ns = [0] * count

    def finish_ns(self, arrived_ns: int, hold_ns: int) -> int:
        """When a request that arrived then is done; ask in the order of arrival."""
        begin_ns = max(arrived_ns, self._free_at_ns[0])
        heapq.heapreplace(self._free_at_ns, begin_ns + hold_ns)
        return begin_ns + hold_ns


def queue_latency_ns(intended_ns: Stamps, hold_ns: Stamps, *, slots: int) -> Stamps:
    """What each arrival takes when it is held for its time in one of `slots`; 0: no such bound."""
    if not slots:
        return hold_ns
    queue = Slots(slots)
    pairs = zip(intended_ns.tolist(), hold_ns.tolist(), strict=True)
    done = [queue.finish_ns(arrived, hold) for arrived, hold in pairs]
    return np.array(done, dtype=np.int64) - intended_ns


def stalls(began_ns: int, *, stall_s: float, period_s: float, until_ns: int) -> Stamps:
    """Beginnings and ends of the stalls, two columns: the first part of every period but the first."""
    if not stall_s:
        return np.empty((0, 2), dtype=np.int64)
    period_ns = int(period_s * NS_PER_S)
    begins = np.arange(began_ns + period_ns, until_ns, period_ns)
    return np.column_stack((begins, begins + int(stall_s * NS_PER_S)))


def stall_latency_ns(intended_ns: Stamps, windows: Stamps) -> Stamps:
    """What each arrival must wait for the end of a stall; 0 outside of stalls."""
    if not len(windows):
        return np.zeros_like(intended_ns)
    at = np.searchsorted(windows[:, 0], intended_ns, side="right") - 1
    return np.where(at >= 0, np.maximum(0, windows[at, 1] - intended_ns), 0)


class Answering(asyncio.Protocol):
    """One connection; `/` is held for the server's delay, `/US/NUMBER` for so many microseconds."""

    def __init__(self, server: "ReferenceServer") -> None:
        self._server = server
        self._parser = HttpRequestParser(self)
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio hands the transport over."""
        # uvloop's transports have the methods of asyncio's and not its class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Requests, or parts of them."""
        self._parser.feed_data(data)

    def on_url(self, path: bytes) -> None:
        """httptools: the path, or a part of it."""
        self._path += path

    def on_message_complete(self) -> None:
        """httptools: a request is whole."""
        path, self._path = self._path, b""
        self._server.accept(self._transport, path)


class ReferenceServer:
    """Holds requests by its rule and answers them when they are due. Lives on one running loop."""

    def __init__(self, *, delay_s: float, slots: int) -> None:
        self._delay_ns = int(delay_s * NS_PER_S)
        self._slots = Slots(slots) if slots else None
        self._held: list[tuple[int, int, int, int, asyncio.Transport]] = []
        self._order = itertools.count()
        self._pacer = best_pacer(asyncio.get_running_loop(), self._answer_due)
        self.numbers: list[int] = []
        self.received_ns: list[int] = []
        self.answered_ns: list[int] = []

    def accept(self, transport: asyncio.Transport, path: bytes) -> None:
        """Answer a request now or when it is due."""
        number, hold_ns = UNNUMBERED, self._delay_ns
        if path != b"/":
            _, hold_us, name = path.split(b"/")
            number, hold_ns = int(name), int(hold_us) * 1_000
        now_ns = monotonic_ns()
        if self._slots is None and not hold_ns:
            self._answer(transport, number, now_ns)
            return
        due_ns = self._slots.finish_ns(now_ns, hold_ns) if self._slots else now_ns + hold_ns
        entry = (due_ns, next(self._order), number, now_ns, transport)
        heapq.heappush(self._held, entry)
        if self._held[0] is entry:
            self._pacer.arm(due_ns - SPIN_NS)

    def close(self) -> None:
        """Give the timer back."""
        self._pacer.close()

    def _answer_due(self) -> None:
        held = self._held
        now_ns = monotonic_ns()
        while held and held[0][0] <= now_ns:
            _, _, number, received_ns, transport = heapq.heappop(held)
            self._answer(transport, number, received_ns)
        if not held:
            self._pacer.disarm()
        elif held[0][0] - now_ns < SPIN_NS:
            self._pacer.again()
        else:
            self._pacer.arm(held[0][0] - SPIN_NS)

    def _answer(self, transport: asyncio.Transport, number: int, received_ns: int) -> None:
        if transport.is_closing():  # the driver gave the request up
            return
        if number != UNNUMBERED:
            self.numbers.append(number)
            self.received_ns.append(received_ns)
            self.answered_ns.append(monotonic_ns())  # before it is: the driver must not be sooner
        transport.write(ANSWER)


def run(context: ChildContext) -> None:
    """A child process that serves until it is stopped.

    Setting, all optional: `delay_s` before each answer to `/`; `slots`, how many requests it holds at
    a time (0: any number); `stall_s` and `period_s`: the process stands still for the first `stall_s`
    of every period after the first (0: never). Ready with `url`; periods count from the command
    `begin`. When stopped it emits `account`: the `numbers` of the numbered requests with `received_ns`
    and `answered_ns`, when periods `began_ns` (0: never), and the `stalls` as they were.
    """
    setting = context.setting
    raise_file_limit()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        account = runner.run(
            _serve(
                context,
                delay_s=setting.get("delay_s", 0.0),
                slots=setting.get("slots", 0),
                stall_s=setting.get("stall_s", 0.0),
                period_s=setting.get("period_s", 0.0),
            )
        )
    context.emit(ACCOUNT, account)


async def _serve(
    context: ChildContext, *, delay_s: float, slots: int, stall_s: float, period_s: float
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    context.on_stop(lambda: loop.call_soon_threadsafe(ended.set))
    reference = ReferenceServer(delay_s=delay_s, slots=slots)
    standing = StandingStill(loop, stall_s=stall_s, period_s=period_s)

    def on_command(_kind: str, _payload: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(standing.begin)

    context.on_command(on_command)
    server = await loop.create_server(lambda: Answering(reference), "127.0.0.1", 0, backlog=BACKLOG)
    context.ready(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await ended.wait()
    server.close()
    reference.close()
    return {
        "numbers": reference.numbers,
        "received_ns": reference.received_ns,
        "answered_ns": reference.answered_ns,
        "began_ns": standing.began_ns,
        "stalls": standing.stood,
    }


class StandingStill:
    """Keeps the loop from doing anything, once in each period but the first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, stall_s: float, period_s: float) -> None:
        self.began_ns = 0
        self.stood: list[tuple[int, int]] = []
        self._loop = loop
        self._stall_ns = int(stall_s * NS_PER_S)
        self._period_ns = int(period_s * NS_PER_S)
        self._from_ns = 0

    def begin(self) -> None:
        """Periods count from now."""
        self.began_ns = self._from_ns = monotonic_ns()
        if self._stall_ns:
            self._arrange()

    def _arrange(self) -> None:
        self._from_ns += self._period_ns
        self._loop.call_later((self._from_ns - monotonic_ns()) / NS_PER_S, self._stand)

    def _stand(self) -> None:
        from_ns = monotonic_ns()
        time.sleep(max(0, self._from_ns + self._stall_ns - from_ns) / NS_PER_S)
        self.stood.append((from_ns, monotonic_ns()))
        self._arrange()
