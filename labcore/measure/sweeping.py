"""Running a sweep: point by point here, or spread over the machines of a dask cluster.

On a cluster every machine measures one point at a time, for each takes its own machine's lock, and
sends the recording back: there need be no common disk. A machine that is lost loses the point it was
at, which another takes over. Ratios are within a point and so within a machine; figures of different
machines are not alike, and the table names none that would compare them.
"""

import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from labcore.kernel import EnvironmentFault, InterruptedRunError, UsageError
from labcore.measure.run import OnEvent
from labcore.measure.session import counted, spoken
from labcore.measure.sweep import Point, Sweep, SweepPlan

LOCAL: Final = "local"
LOCAL_WORKERS: Final = (
    2  # a lost one has a companion; the machine's lock lets one measure at a time
)
POLL_S: Final = 0.5
CONNECT_PATIENCE = "10s"  # as dask writes it
RETRIES: Final = 3  # of a point whose machine was lost


def run_sweep(
    sweep: Sweep,
    *,
    scheduler: str | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> None:
    """Measure every missing point; the table is stored after each.

    Args:
        sweep: new or begun before.
        scheduler: address of a dask scheduler, such as `tcp://host:8786`; `local` starts one for this
            sweep; None measures here, one point after the other.
        on_event: as for `compare`, with `point` beside; and `notice` after each point with the time
            left by the pace so far.
        cancelled: set it to stop; what was measured is kept.

    Raises:
        InterruptedRunError: cancelled, or interrupted by the keyboard.
        EnvironmentFault: no such cluster, or dask is not installed.
        UsageError, PeerError: as `compare`.
    """
    sweep.create()
    stop = cancelled or Event()
    tell = on_event or _silent
    pace = _Pace(sweep, tell)
    try:
        if scheduler is None:
            _here(sweep, pace, tell, stop)
        else:
            _on_cluster(sweep, pace, scheduler, stop)
    except (KeyboardInterrupt, InterruptedRunError) as exc:
        left = counted(len(sweep.missing), "point")
        raise InterruptedRunError(
            f"interrupted with {left} to go; what was measured is kept in {sweep.path}, and resuming "
            "goes on from there"
        ) from exc
    finally:
        sweep.save_table()


def _here(sweep: Sweep, pace: "_Pace", tell: OnEvent, stop: Event) -> None:
    for point in sweep.missing:

        def labelled(kind: str, payload: dict[str, Any], point: Point = point) -> None:
            tell(kind, {**payload, "point": point})

        sweep.plan.measure(point, sweep.place(point), on_event=labelled, cancelled=stop)
        pace.finished()


def _on_cluster(sweep: Sweep, pace: "_Pace", scheduler: str, stop: Event) -> None:
    try:
        import distributed
    except ModuleNotFoundError as exc:
        raise EnvironmentFault(
            "a sweep on many machines needs dask: pip install 'concurrency-workbench[cluster]'"
        ) from exc
    with ExitStack() as cleanup:
        client = cleanup.enter_context(_client(distributed, scheduler, cleanup))
        halt = _cluster_event(f"halt-{sweep.path.name}", client)
        cleanup.callback(halt.set)
        waiting = {
            client.submit(
                _measured_there, sweep.plan.setting(), point, halt.name, pure=False, retries=RETRIES
            ): point
            for point in sweep.missing
        }
        cleanup.callback(client.cancel, list(waiting))
        while waiting:
            if stop.wait(POLL_S):
                raise InterruptedRunError("cancelled")
            for future in [future for future in waiting if future.done()]:
                _unpack(future.result(), sweep.place(waiting.pop(future)))
                pace.finished()


def _client(distributed: Any, scheduler: str, cleanup: ExitStack) -> Any:
    if scheduler == LOCAL:
        scheduler = cleanup.enter_context(
            distributed.LocalCluster(
                n_workers=LOCAL_WORKERS,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs="ERROR",
            )
        )
    try:
        return distributed.Client(scheduler, timeout=CONNECT_PATIENCE)
    except (OSError, ValueError) as exc:
        raise UsageError(f"no dask scheduler answers at {scheduler!r}: {exc}") from exc


def _cluster_event(name: str, client: Any = None) -> Any:
    from distributed import Event as ClusterEvent

    return ClusterEvent(name, client=client)  # type: ignore[no-untyped-call]  # dask has no types here


def _measured_there(setting: Mapping[str, Any], point: Point, halt: str) -> bytes:
    """On a worker: measure one point, and hand the recording over as an archive."""
    stop, over = Event(), Event()

    def watch() -> None:
        told = _cluster_event(halt)
        while not over.wait(POLL_S):
            if told.is_set():
                stop.set()
                return

    watching = Thread(target=watch, daemon=True)
    watching.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "point"
            SweepPlan.from_setting(setting).measure(point, place, cancelled=stop)
            return Path(shutil.make_archive(str(place), "zip", place)).read_bytes()
    finally:
        over.set()
        watching.join()


def _unpack(archive: bytes, place: Path) -> None:
    """The recording appears whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as folder:
        packed = Path(folder) / "point.zip"
        packed.write_bytes(archive)
        shutil.unpack_archive(packed, Path(folder) / "point")
        if place.exists():
            shutil.rmtree(place)
        (Path(folder) / "point").rename(place)


def _silent(_kind: str, _payload: dict[str, Any]) -> None:
    """Nobody listens."""


class _Pace:
    """Says after each point how many are left, and how long they will take."""

    def __init__(self, sweep: Sweep, tell: OnEvent) -> None:
        self._sweep = sweep
        self._tell = tell
        self._began_s = time.monotonic()
        self._made = 0

    def finished(self) -> None:
        """One more came to its end."""
        self._made += 1
        self._sweep.save_table()
        total, left = len(self._sweep.plan.points), len(self._sweep.missing)
        left_s = (time.monotonic() - self._began_s) / self._made * left
        message = f"{total - left} of {counted(total, 'point')}"
        message += f", about {spoken(left_s)} left" if left else ""
        self._tell("notice", {"message": message, "left_s": left_s})
