"""Many clients that listen: what each event's way took, from its own stamp to each subscriber.

The counterpart of the open load for streams. Who publishes sets the pace; subscribers only listen, in a
process and on a core of their own. Each event received is a row of the same record that requests have:
*intended* is the moment the publisher stamped into it, *done* the moment its last byte was read.
Publisher and driver must share a clock, so this measures on one machine.
"""

import asyncio
import gc
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from labcore.kernel import InterruptedRunError, PeerError
from labcore.lanes import Child, ChildContext
from labcore.measure.crowd import OPEN_PATIENCE_S, Crowd
from labcore.measure.driver import POLL_S, raise_file_limit
from labcore.measure.pacing import new_event_loop
from labcore.measure.recorder import write_requests
from labcore.measure.stream_plan import StreamPlan, StreamResult
from labcore.measure.witness import Witness

TARGET: Final = "labcore.measure.subscribers:run"
END_PATIENCE_S: Final = 60.0
START_PATIENCE_S: Final = 20.0


class Listening:
    """Subscribers at work in a process of their own."""

    def __init__(self, plan: StreamPlan) -> None:
        self.child = Child(
            TARGET, plan.setting(), name="subscribers", on_event=self._on_event, cpus=plan.cpus
        )
        self._results: list[StreamResult] = []
        self._finished = threading.Event()

    def begin(self) -> None:
        """What comes from now on is recorded, and what was before forgotten."""
        self.child.send("begin", {})

    def end(self) -> StreamResult:
        """Leave, and say what was heard. Raises: PeerError when the process died."""
        self.child.send("stop", {})
        return self.wait(END_PATIENCE_S)

    def wait(
        self, patience_s: float = math.inf, *, cancelled: threading.Event | None = None
    ) -> StreamResult:
        """The result, once the planned time is over. Raises: PeerError when the process died."""
        until_s = time.monotonic() + patience_s
        while not self._finished.wait(POLL_S) and self.child.alive and time.monotonic() < until_s:
            if cancelled is not None and cancelled.is_set():
                self.child.send("stop", {})
                cancelled = None
        if not self._finished.wait(POLL_S):  # the last events of a process outlive it for a moment
            self.child.wait_ready(POLL_S)  # raises what the child raised
            raise PeerError(f"the subscribers died; their log ends:\n{self.child.log_tail()}")
        return self._results[0]

    def _on_event(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "result":
            path = Path(payload["requests_path"])
            self._results.append(StreamResult(**{**payload, "requests_path": path}))
            self._finished.set()


@contextmanager
def listening(plan: StreamPlan, *, cancelled: threading.Event | None = None) -> Iterator[Listening]:
    """Subscribers in a process of their own, until the block is left; all are connected when it begins.

    Raises:
        UsageError: a plan that cannot be run.
        PeerError: nobody could connect, or the process died.
        InterruptedRunError: cancelled while they connected.
    """
    crowd = Listening(plan)
    with crowd.child:
        _wait_connected(crowd.child, cancelled)
        yield crowd


def listen(plan: StreamPlan, *, cancelled: threading.Event | None = None) -> StreamResult:
    """Subscribe in a process of its own and wait for the end. Blocks; may be called from any thread.

    The window begins when every subscriber is connected. A plan without a time ends when `cancelled` is
    set.

    Raises: UsageError for a plan that cannot be run; PeerError when nobody could connect, or the process
        died.
    """
    with listening(plan) as crowd:
        return crowd.wait(cancelled=cancelled)


def _wait_connected(child: Child, cancelled: threading.Event | None) -> None:
    until_s = time.monotonic() + OPEN_PATIENCE_S + START_PATIENCE_S
    pause = threading.Event() if cancelled is None else cancelled
    while child.alive and not child.is_ready and time.monotonic() < until_s:
        if pause.wait(POLL_S):
            raise InterruptedRunError("cancelled while the subscribers connected")
    child.wait_ready(POLL_S)  # raises what the child raised


def run(context: ChildContext) -> None:
    """Inside the driver process: connect, listen, write the record, emit `result`.

    Ready means that everybody is connected. The command `begin` begins the window anew, `stop` ends it.
    """
    plan = StreamPlan.from_setting(context.setting)
    raise_file_limit()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        context.emit("result", runner.run(_listen(context, plan)))


async def _listen(context: ChildContext, plan: StreamPlan) -> dict[str, Any]:
    crowd = Crowd(plan)
    witness = Witness()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin() -> None:
        crowd.begin()
        witness.begin()

    def soon(call: Callable[[], object]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call)

    def on_command(kind: str, _: object) -> None:
        soon({"begin": begin, "stop": stopped.set}[kind])

    context.on_stop(lambda: soon(stopped.set))
    await crowd.open()
    gc.collect()
    gc.freeze()  # collections during the window stay short
    begin()
    context.on_command(on_command)
    context.ready(connected=crowd.connected)
    with suppress(TimeoutError):
        async with asyncio.timeout(plan.duration_s):
            await stopped.wait()
    testimony = witness.end()
    table = crowd.table()
    ended = crowd.ended
    crowd.close()
    write_requests(table, plan.requests_path)
    return {
        "requests_path": str(plan.requests_path),
        "connected": crowd.connected,
        "connect_failures": crowd.failures,
        "ended": ended,
        "repeated": crowd.repeated,
        "missing": crowd.missing,
        "cpu_share": testimony.cpu_share,
        "run_delay_share": testimony.run_delay_share,
        "gc_pause_ms": testimony.gc_pause_ms,
        "wall_s": testimony.wall_s,
        "outcomes": dict(crowd.outcomes),
        **_delays(table),
    }


def _delays(table: pa.Table) -> dict[str, Any]:
    delay_ms = (table["done_ns"].to_numpy() - table["intended_ns"].to_numpy()) / 1e6
    p50, p99, most = (
        [float(value) for value in np.percentile(delay_ms, (50, 99, 100))]
        if len(delay_ms)
        else [math.nan] * 3
    )
    return {
        "events": len(delay_ms),
        "delay_p50_ms": p50,
        "delay_p99_ms": p99,
        "delay_max_ms": most,
    }
