"""What surrounds every experiment: the machine to itself, a stage, and an orderly end.

It decides nothing about what is measured. However a session ends, by its last run, an interrupt or
an error, what was measured is kept and can be opened, and reported, and resumed.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event
from typing import Any, TypeVar

import anyio

from labcore import lanes as lane_room
from labcore.kernel import InterruptedRunError, PeerError
from labcore.lanes import ForeignLane, Scenario, Stage, Values
from labcore.measure.design import LaneChoice
from labcore.measure.environment import usable_cores
from labcore.measure.lock import machine_lock
from labcore.measure.placement import Placement, kept_to
from labcore.measure.recording import Recording
from labcore.measure.run import Events

T = TypeVar("T")


@contextmanager
def alone(purpose: str, *, events: Events, cancelled: Event) -> Iterator[None]:
    """This machine for one experiment; waiting for it is told as an event.

    Raises: InterruptedRunError when cancelled while waiting.
    """
    with machine_lock(
        purpose,
        on_wait=lambda message: events.emit("waiting", {"message": message}),
        cancelled=cancelled,
    ):
        yield


@contextmanager
def on_stage(
    card: Scenario, parameters: Values, lanes: Iterable[LaneChoice], *, events: Events
) -> Iterator[tuple[Stage, Placement]]:
    """A stage, and where its processes belong; foreign lanes have shown that they keep the contract.

    Raises: PeerError for a foreign lane that does not; EnvironmentFault for no database.
    """
    placement = Placement.on(usable_cores())
    # Children start where their parent is, so everything but server and driver keeps off.
    with kept_to(placement.others), Stage(card, parameters) as stage:
        _check_foreign(stage, lanes, events)
        yield stage, placement


@contextmanager
def kept(
    recording: Recording,
    *,
    save: Callable[[bool], object],
    what: Callable[[], str] | None = None,
) -> Iterator[None]:
    """Calls `save` with whether it came to the end; an interrupt says what was kept and where.

    Args:
        recording: what is being filled.
        save: stores results and status.
        what: says what was kept, in words; default the number of runs.

    Raises: InterruptedRunError for an interrupt by keyboard or event.
    """
    complete = False
    try:
        yield
        complete = True
    except (KeyboardInterrupt, InterruptedRunError) as exc:
        count = what() if what else counted(len(recording.runs), "run")
        raise InterruptedRunError(
            f"interrupted; {count} kept in {recording.path}, and resuming goes on from there"
        ) from exc
    finally:
        save(complete)


async def beside_the_loop(
    measure: Callable[..., T], *arguments: Any, stop: Event, options: Mapping[str, Any]
) -> T:
    """A blocking measurement in a thread, for a running event loop.

    Cancelling the task sets `stop`, waits for the orderly end of the measurement, and raises what
    a cancelled task raises.
    """
    work = partial(measure, *arguments, cancelled=stop, **options)
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        # Shielded against scopes that would deliver the cancellation on every turn of the loop, and
        # against a second cancel of the task: servers must be gone before the caller goes on.
        with anyio.CancelScope(shield=True):
            while not running.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([running])
        running.exception()  # the interruption it ended with is what was asked for
        raise


def counted(count: int, noun: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def spoken(seconds: float) -> str:
    """A duration in words: `2 min 5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _check_foreign(stage: Stage, chosen: Iterable[LaneChoice], events: Events) -> None:
    """A lane that we did not write keeps the contract, or the comparison is of two services."""
    for lane in chosen:
        if not isinstance(lane, ForeignLane) or not stage.scenario.checks:
            continue
        events.emit("notice", {"message": f"checking that {lane.name} keeps the contract"})
        with stage.deploy(lane) as deployment:
            results = lane_room.conform(deployment.site(), stage.scenario.checks)
        broken = [result for result in results if result.applicable and not result.passed]
        if broken:
            raise PeerError(
                f"lane {lane.name!r} breaks the contract in {len(broken)} of {len(results)} checks, "
                f"first {broken[0].name}: {broken[0].detail}"
            )
