"""A chain that has ended leaves nothing to the cyclic collector, whatever it is made of and ends by.

The operators are those of the rule kit's tables, so that a new one is measured as soon as its rules are.
"""

import gc
import importlib.util
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import anyio
import pytest

from labcore.kernel import LabError
from labcore.reactive import Flux, Mono, Publisher, Scope, Sinks, Subscription
from labcore.reactive.dictionary import operators
from labcore.reactive.spec import UNBOUNDED
from labcore.reactive.testing import VirtualTime

Run = Callable[[], Awaitable[object]]
RUNS = 3
_TABLES = Path(__file__).parent / "tck" / "test_operators.py"
_spec = importlib.util.spec_from_file_location("operator_tables", _TABLES)
assert _spec is not None
assert _spec.loader is not None
tables: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tables)

SHARED = (
    "a shared flux holds a bound method of its own as its feed, and its hub knows its connection"
)
MARKED = (
    "the recording keeps the error, its traceback who called, and they the chain with the recording"
)
# What cannot go by itself, and why; a listed pipeline that leaves nothing fails its test.
KEPT: dict[tuple[str, str], str] = {
    (name, base): SHARED
    for name in ("publish", "share", "replay", "cache", "Mono.share", "Mono.cache")
    for base in tables.BASES
} | {(name, base): MARKED for name in ("record", "Mono.record") for base in ("fused", "unfused")}
HOPPED = "the frame that raises in a hop what a thread raised keeps the error"
KEPT_WHEN_RAISED = {"publish_on map": HOPPED, "subscribe_on map": HOPPED}
# Other ways to the same doors.
NO_STREAMS = {"block", "block_last", "for_each", "stream", "subscribe", "to_async_iterable"}


class Reader:
    """Asks for everything, and cancels at its first signal or its first value if told so."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.seen = 0
        self.cancel_at = cancel_at
        self.up: Subscription | None = None

    def on_subscribe(self, subscription: Subscription, /) -> None:
        """Ask."""
        self.up = subscription
        self.at()
        if self.up is not None:
            self.up.request(UNBOUNDED)

    def on_next(self, _: object, /) -> None:
        """Count."""
        self.seen += 1
        self.at()

    def on_error(self, _: Exception, /) -> None:
        """Over."""
        self.up = None

    def on_complete(self) -> None:
        """Over."""
        self.up = None

    def at(self) -> None:
        """Cancel when it is time to."""
        if self.seen == self.cancel_at and self.up is not None:
            up, self.up = self.up, None
            up.cancel()


async def read(source: Publisher[Any], cancel_at: int | None = None) -> None:
    async with Scope() as scope:
        source.subscribe(Reader(cancel_at), scope=scope)


async def waited(make: Callable[[], Any]) -> None:
    """By the door: nothing here holds the chain, for the frames of a failure's traceback live on."""
    await Mono(make().feed)


async def given_up(make: Callable[[], Any]) -> None:
    """The caller is cancelled while everything is at rest."""
    with anyio.move_on_after(3):
        await waited(make)


async def broken_off(make: Callable[[], Any]) -> None:
    stream: Flux[Any] = Flux(make().feed)
    async with stream.stream() as items:
        await anext(items, None)


def boom(*_: object) -> Any:
    raise tables.PlantedError("planted")


def endings(pipeline: Any, base: Any) -> Iterator[tuple[str, Run]]:
    """Every way in which the pipeline may end over that base."""

    def never(n: int) -> Flux[Any]:
        return base(n).concat_with(Flux.never())  # type: ignore[no-any-return]  # a base is of any kind

    def failing(n: int) -> Flux[Any]:
        return base(n).concat_with(Flux.error(tables.PlantedError))  # type: ignore[no-any-return]  # a base is of any kind

    def raising(n: int) -> Flux[Any]:
        return base(n).map(boom)  # type: ignore[no-any-return]  # a base is of any kind

    yield "completed", lambda: waited(lambda: pipeline(base, 3))
    yield "failed", lambda: waited(lambda: pipeline(failing, 3))
    yield "raised", lambda: waited(lambda: pipeline(raising, 3))
    yield "given up", lambda: given_up(lambda: pipeline(never, 3))
    yield "broken off", lambda: broken_off(lambda: pipeline(base, 3))
    yield "read", lambda: read(pipeline(base, 3))
    yield "cancelled unread", lambda: read(pipeline(base, 3), 0)
    yield "cancelled at a value", lambda: read(pipeline(base, 9), 1)


def ours(thing: object) -> bool:
    """Whether the object is the library's: an instance, a closure, a bound method, a frame."""
    if isinstance(thing, MethodType):
        return ours(thing.__self__) or ours(thing.__func__)
    if isinstance(thing, FunctionType):
        return thing.__module__.startswith("labcore.reactive")
    code = [getattr(thing, name, None) for name in ("f_code", "cr_code", "gi_code", "ag_code")]
    if any("labcore/reactive/" in found.co_filename for found in code if found is not None):
        return True
    return type(thing).__module__.startswith("labcore.reactive")


async def left_by(run: Run) -> list[object]:
    """What the runs leave to the collector, after one that warms caches."""
    try:
        for turn in range(RUNS + 1):
            if turn == 1:
                gc.collect()
                gc.set_debug(gc.DEBUG_SAVEALL)
            with suppress(tables.PlantedError, LabError):
                await run()
        gc.collect()
        return list(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.fixture(autouse=True, scope="module")
def _collector_off() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def findings(runs: Iterator[tuple[str, Run]]) -> dict[str, float]:
    """By the way of ending: how many objects of ours each run leaves."""

    async def measured() -> dict[str, float]:
        left = {name: sum(map(ours, await left_by(run))) / RUNS for name, run in runs}
        return {name: count for name, count in left.items() if count}

    return VirtualTime.run(measured)


def measured_sources() -> dict[str, Callable[[], Any]]:
    """Every source, and those that end before or never."""
    made = {
        name: lambda m=make: m(3) for name, make in (tables.SOURCES | tables.MONO_SOURCES).items()
    }
    more: dict[str, Callable[[], Any]] = {
        "Flux.error": lambda: Flux.error(tables.PlantedError),
        "Mono.error": lambda: Mono.error(tables.PlantedError),
        "Mono.empty": Mono.empty,
        "Flux.never": lambda: Flux.never().take(0),
        "Mono.never": lambda: Mono.never().timeout(1, fallback=Mono.empty()),
    }
    return made | more


SOURCES = measured_sources()


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_leaves_nothing(name: str):
    make = SOURCES[name]
    runs: list[tuple[str, Run]] = [
        ("read", lambda: read(make())),
        ("cancelled unread", lambda: read(make(), 0)),
        ("cancelled at a value", lambda: read(make(), 1)),
        ("waited for", lambda: waited(make)),
        ("given up", lambda: given_up(lambda: Flux(make().feed).concat_with(Flux.never()))),
    ]
    assert findings(iter(runs)) == {}


@pytest.mark.parametrize("base", tables.BASES)
@pytest.mark.parametrize("name", tables.EVERY)
def test_an_operator_leaves_nothing(name: str, base: str):
    runs = endings(tables.EVERY[name], tables.BASES[base])
    hops = "publish_on" in name or "subscribe_on" in name
    left = findings(
        run for run in runs if not (hops and run[0] == "raised")
    )  # see KEPT_WHEN_RAISED
    if (name, base) in KEPT:
        assert left, f"{name} leaves nothing any more: take it off KEPT"
    else:
        assert left == {}


@pytest.mark.parametrize("name", tables.USER_FUNCTIONS)
def test_a_function_that_raises_leaves_nothing(name: str):
    runs = {"raised": lambda: waited(lambda: tables.USER_FUNCTIONS[name](boom))}
    assert bool(findings(iter(runs.items()))) is (name in KEPT_WHEN_RAISED)


def test_a_subscriber_from_outside_leaves_nothing_of_a_sink():
    async def emitted() -> None:
        sink = Sinks.many().multicast().on_backpressure_buffer()
        async with Scope() as scope:
            sink.as_flux().map(str).subscribe(Reader(), scope=scope)
            sink.try_emit_next(1).or_throw()
            sink.try_emit_complete().or_throw()

    assert findings(iter([("emitted", emitted)])) == {}


def test_every_operator_is_measured():
    measured = {
        tables.bare(name.split()[0]).removeprefix("Flux.") for name in [*SOURCES, *tables.EVERY]
    }
    named = [row.labcore.split(".") for row in operators()]
    missing = {name for owner, name in named if owner in {"Flux", "Mono"}} - measured - NO_STREAMS
    assert missing == set()
