"""The load engine: requests sent when they are due, whatever the server does.

An open load is the way to measure: arrivals are drawn beforehand, latency counts from the intended
start, and a slow server still meets the requests it is owed. A closed load keeps a fixed number of
users instead, who wait for the server before they ask again, so its latencies leave out what arrivals
would have suffered (coordinated omission). It finds a *ceiling*, nothing else.

Source: Schroeder, Wierman, Harchol-Balter, Open Versus Closed (NSDI 2006); the intended start as the
origin of latency is Tene's, in wrk2.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Self

from labcore.kernel import PeerError, UsageError
from labcore.measure.arrivals import Arrivals
from labcore.measure.connections import NS_PER_S, Limits, Pool
from labcore.measure.pacing import best_pacer
from labcore.measure.recorder import TIMEOUT, UNFINISHED, Recorder
from labcore.measure.target import Target

LEAD_NS: Final = 20_000_000  # from the end of the preparation to the first intended start
SWEEP_S: Final = 0.05  # how often time limits are looked at: a timeout is late by at most this
# Going to sleep and being woken costs the core about 20 us on a virtual machine, and a timer set in
# the past 50: for less than this the loop stays awake and serves its sockets meanwhile. To wait 25 us
# more, and send what has fallen due by then in one wake, saved under a tenth and doubled the lateness.
NAP_NS: Final = 20_000
CHUNK: Final = 65_536  # slots added at once where the number of requests is not known

monotonic_ns = time.monotonic_ns


class Load(ABC):
    """One load against one server: connections, time limits, the stop. Made on its loop, used once.

        async with OpenLoad(target, payloads, arrivals=…, limits=Limits()) as load:
            await load.run()

    Requests take the payloads in turn: one to warm each connection, then those of the warm-up, then
    the recorded ones, whose first number is `first_recorded`. The stamps are in `recorder`.

    Args:
        target: where the requests go.
        payloads: encoded requests, used in order and again from the first when they run out.
        limits: connections, time limit, queue.

    Raises: UsageError without payloads.
    """

    def __init__(self, target: Target, payloads: Sequence[bytes], *, limits: Limits) -> None:
        if not payloads:
            raise UsageError("a load of no requests; give at least one")
        self.recorder = Recorder(limits.connections)
        self.first_recorded = limits.connections
        self.limits = limits
        self.pool = Pool(
            target, payloads, self.recorder, limits=limits, on_settled=self._warmed_one
        )
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._reached = asyncio.Event()
        self._stopped = False
        self._oldest = 0  # every request below it has ended

    async def __aenter__(self) -> Self:
        """Open the connections and warm each by one request.

        Raises: PeerError when the server accepts no connection at all.
        """
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        try:
            await self._warm_connections()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def run(self, on_recording: Callable[[], object] = lambda: None) -> None:
        """Load the server; returns when every request has its end, or at once after a `stop`.

        Each ends within its time limit, so this lasts at most `timeout_s` beyond the last arrival.
        `on_recording` is called when the recorded window begins.
        """
        if not self._stopped:
            self._reached.clear()
            await self._load(on_recording)

    def stop(self) -> None:
        """End now: nothing more is sent, and what is under way is recorded as `unfinished`."""
        if self._stopped:
            return
        self._stopped = True
        self.pool.abandon()
        now_ns = monotonic_ns()
        for request in self.recorder.unsettled():
            self.pool.give_up(request, now_ns, UNFINISHED)
        self._reached.set()

    @property
    def in_flight(self) -> int:
        """Requests that have begun and not ended."""
        return self.recorder.issued - self.recorder.settled

    @property
    def bodies(self) -> dict[int, bytes]:
        """The sampled bodies by request number, each cut at 64 KiB."""
        return {request: bytes(body) for request, body in self.pool.bodies.items()}

    @abstractmethod
    async def _load(self, on_recording: Callable[[], object]) -> None:
        """Send everything and wait for `_reached`."""

    async def _close(self) -> None:
        self._stopped = True
        self._sweeper.cancel()
        await self.pool.close()

    async def _warm_connections(self) -> None:
        count = self.limits.connections
        if not await self.pool.open(count) and not self._stopped:
            raise PeerError(
                f"no connection to {self._target.url}: {count} attempts failed; is it listening?"
            )
        if self._stopped:
            return
        self.recorder.issued = count
        for request in range(count):
            now_ns = monotonic_ns()
            self.recorder.intended[request] = self.recorder.woke[request] = now_ns
            self.pool.dispatch(request, now_ns)
        await self._reached.wait()

    def _warmed_one(self) -> None:
        if self.recorder.settled == self.limits.connections:
            self._reached.set()

    def _sweep(self) -> None:
        """End what is over its time limit; intended starts ascend, so these requests lie in front."""
        if self._stopped:
            return
        now_ns = monotonic_ns()
        limit_ns = now_ns - int(self.limits.timeout_s * NS_PER_S)
        done, intended = self.recorder.done, self.recorder.intended
        request = self._oldest
        while request < self.recorder.issued and (done[request] or intended[request] <= limit_ns):
            if not done[request]:
                self.pool.give_up(request, now_ns, TIMEOUT)
            request += 1
        self._oldest = request
        self.pool.close_idle(now_ns)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _announce(self, window_ns: int, on_recording: Callable[[], object]) -> asyncio.TimerHandle:
        return self._loop.call_later((window_ns - monotonic_ns()) / NS_PER_S, on_recording)


class OpenLoad(Load):
    """Every request of a schedule, sent when it is due.

    Args:
        target: where the requests go.
        payloads: as for `Load`.
        arrivals: the recorded window.
        warmup: arrivals that lead up to it under the same rules and are not recorded.
        limits: as for `Load`.
        sample_bodies: keep the bodies of so many of the recorded requests, spread evenly.
    """

    def __init__(
        self,
        target: Target,
        payloads: Sequence[bytes],
        *,
        arrivals: Arrivals,
        warmup: Arrivals | None = None,
        limits: Limits,
        sample_bodies: int = 0,
    ) -> None:
        super().__init__(target, payloads, limits=limits)
        self._arrivals = arrivals
        self._warmup_ns = 0 if warmup is None else int(warmup.duration_s * NS_PER_S)
        self._warmup = [] if warmup is None else warmup.offsets_ns.tolist()
        self.first_recorded += len(self._warmup)
        self._end = self.first_recorded + len(arrivals)
        stride = max(1, len(arrivals) // max(1, sample_bodies))
        for request in range(self.first_recorded, self._end, stride)[:sample_bodies]:
            self.pool.bodies[request] = bytearray()
        self.recorder.reserve(self._end - self.limits.connections)

    async def _load(self, on_recording: Callable[[], object]) -> None:
        intended = self.recorder.intended
        first = self.recorder.issued
        start_ns = monotonic_ns() + LEAD_NS
        window_ns = start_ns + self._warmup_ns
        intended[first : self.first_recorded] = [start_ns + offset for offset in self._warmup]
        intended[self.first_recorded :] = (self._arrivals.offsets_ns + window_ns).tolist()
        if first == self._end:
            return
        self.pool.on_settled = self._settled_one
        announcement = self._announce(window_ns, on_recording)
        self._pacer = best_pacer(self._loop, self._wake)
        try:
            self._pacer.arm(intended[first])
            await self._reached.wait()
        finally:
            announcement.cancel()
            self._pacer.close()

    def _wake(self) -> None:
        """Send all that is due; the next deadline is set before the loop turns to the answers."""
        recorder, dispatch = self.recorder, self.pool.dispatch
        intended, woke = recorder.intended, recorder.woke
        request, end = recorder.issued, self._end
        due_ns = now_ns = monotonic_ns()
        while request < end and intended[request] <= due_ns:
            woke[request] = now_ns
            dispatch(request, now_ns)
            request += 1
            now_ns = monotonic_ns()
        recorder.issued = request
        if request == end or self._stopped:
            self._pacer.disarm()
        elif intended[request] - now_ns < NAP_NS:
            self._pacer.again()
        else:
            self._pacer.arm(intended[request])

    def _settled_one(self) -> None:
        if self.recorder.settled == self._end:
            self._reached.set()


class ClosedLoad(Load):
    """Ceiling only: `concurrency` users who each wait for an answer, think, and ask again.

    The intended start is the actual one here, which is what makes a closed load blind to waiting.

    Args:
        target: where the requests go.
        payloads: as for `Load`.
        concurrency: users, each with at most one request under way.
        duration_s: of the recorded window; no request begins after it.
        think_s: pause of a user between an answer and the next request.
        warmup_s: time before the window, not recorded.
        limits: as for `Load`.

    Raises: UsageError for more users than connections may be open.
    """

    def __init__(
        self,
        target: Target,
        payloads: Sequence[bytes],
        *,
        concurrency: int,
        duration_s: float,
        think_s: float = 0.0,
        warmup_s: float = 0.0,
        limits: Limits,
    ) -> None:
        if not 1 <= concurrency <= limits.max_connections:
            raise UsageError(
                f"concurrency={concurrency}; give 1 to max_connections, {limits.max_connections}"
            )
        if not (duration_s > 0 and think_s >= 0 and warmup_s >= 0):
            raise UsageError(f"{duration_s=}, {think_s=}, {warmup_s=}; give seconds, none negative")
        super().__init__(target, payloads, limits=limits)
        self._concurrency = concurrency
        self._duration_ns = int(duration_s * NS_PER_S)
        self._think_s = think_s
        self._warmup_ns = int(warmup_s * NS_PER_S)
        self._until_ns = 0

    async def _load(self, on_recording: Callable[[], object]) -> None:
        window_ns = monotonic_ns() + self._warmup_ns
        self._until_ns = window_ns + self._duration_ns
        self.first_recorded = self.recorder.issued

        def begin_window() -> None:
            self.first_recorded = self.recorder.issued
            on_recording()

        self.pool.on_settled = self._settled_one
        announcement = self._announce(window_ns, begin_window)
        try:
            for _ in range(self._concurrency):
                self._ask()
            await self._reached.wait()
        finally:
            announcement.cancel()

    def _ask(self) -> None:
        recorder, now_ns = self.recorder, monotonic_ns()
        if now_ns >= self._until_ns or self._stopped:
            if recorder.settled == recorder.issued:
                self._reached.set()
            return
        request = recorder.issued
        if request == len(recorder.done):
            recorder.reserve(CHUNK)
        recorder.issued += 1
        recorder.intended[request] = recorder.woke[request] = now_ns
        self.pool.dispatch(request, now_ns)

    def _settled_one(self) -> None:
        if self._think_s > 0:
            self._loop.call_later(self._think_s, self._ask)
        else:
            self._ask()
