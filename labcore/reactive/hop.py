"""Hops: runs of signals on the loop whose user functions are called on threads.

`publish_on` and `subscribe_on` begin hops. A hop is a greenlet of the loop's thread: the operators'
own code and all their state stay on the loop, but a function of the user that an operator calls is
sent to a scheduler, and the hop stands still in the middle of that call until the result is there.
The loop goes on meanwhile. To the operators it is a call that took long, so none of them knows about
threads, and a chain without hops pays nothing.

Which functions are sent is decided once per subscription: who begins hops leaves a `Place` in the
context, operators ask `placed(function, down)`, and away from a hop a placed function is called as it is.

Source: Reactor's publishOn and subscribeOn; greenlets in the manner of SQLAlchemy's asyncio layer.
"""

from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import anyio
import anyio.lowlevel
from greenlet import GreenletExit, getcurrent, greenlet

from labcore.kernel import UsageError
from labcore.reactive.context import EMPTY, Context
from labcore.reactive.scope import Scheduler, Scope

if TYPE_CHECKING:
    from labcore.reactive.core import Down

F = TypeVar("F", bound=Callable[..., Any])
Outcome = tuple[Any, Exception | None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the functions of operators are called; `below` says that a `publish_on` above put it so.

    `outer` is what holds again above that `publish_on`.
    """

    scheduler: Scheduler
    below: bool
    outer: "Place | None" = None


class Executor(Protocol):
    """A thread pool of the standard library, or the executors of virtual threads."""

    def submit(self, task: Callable[[], None], /) -> object:
        """Run the task soon, on some thread; never on the caller's."""
        ...


@dataclass(frozen=True, slots=True)
class Submitting:
    """An executor as a scheduler."""

    executor: Executor

    def execute(self, task: Callable[[], None], /) -> object:
        """Run the task soon, on some thread."""
        return self.executor.submit(task)


def as_scheduler(threads: Scheduler | Executor) -> Scheduler:
    """What publish_on and subscribe_on were given, as a scheduler.

    Raises:
        UsageError: When it is neither.
    """
    if hasattr(threads, "execute"):
        return cast("Scheduler", threads)
    if hasattr(threads, "submit"):
        return Submitting(threads)
    raise UsageError(
        f"{threads!r} runs no tasks; give an executor with submit(task), or a scheduler with "
        "execute(task)"
    )


class _Key:
    """The context's key of a `Place`."""

    def __repr__(self) -> str:
        return "<where functions are called>"


_PLACE = _Key()


def place_of(down: "Down[Any]") -> Place | None:
    """Where the functions of an operator with this subscriber are called; None: where they stand."""
    if down.context is EMPTY:
        return None
    return cast("Place | None", down.context.get(_PLACE))


def with_place(context: Context, place: Place) -> Context:
    """The context for the operators that `place` is for."""
    outer: Place | None = None if context is EMPTY else context.get(_PLACE)
    if outer is not None:
        if (outer.scheduler, outer.below) == (place.scheduler, place.below):
            return context
        place = replace(place, outer=outer)
    return context.put(_PLACE, place)


def above_place(context: Context) -> Context:
    """The context above a `publish_on`: what was put there for the operators below it ends here."""
    place: Place | None = None if context is EMPTY else context.get(_PLACE)
    if place is None or not place.below:
        return context
    return context.delete(_PLACE) if place.outer is None else context.put(_PLACE, place.outer)


def placed(function: F, down: "Down[Any]") -> F:
    """The function as an operator with this subscriber should call it; coroutine functions as they are."""
    if place_of(down) is None or type(function) is Placed or iscoroutinefunction(function):
        return function
    return cast("F", Placed(function))


class Placed:
    """A function that is called on the scheduler of the hop it is called in."""

    __slots__ = ("__name__", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, *args: Any) -> Any:
        """Its result, or its error."""
        hop = getcurrent()
        if type(hop) is Hop:
            return hop.wait(partial(self.function, *args))
        return self.function(*args)


def hopping() -> bool:
    """Whether a hop runs right now."""
    return type(getcurrent()) is Hop


class Hop(greenlet):
    """One run of `work`, which may wait for calls on the scheduler's threads."""

    def __init__(
        self, scope: Scope, scheduler: Scheduler, work: Callable[[], None], over: Callable[[], None]
    ) -> None:
        super().__init__(work)
        self.gr_context = copy_context()
        self.scope = scope
        self.scheduler = scheduler
        self.over: Callable[[], None] | None = over
        self.call: Callable[[], Any] | None = None
        self.waits = self.unwanted = False

    def begin(self) -> None:
        """Run until the work is done or waits for a thread; `over()` is called when it is done."""
        self._enter()
        if not self.dead:
            self.scope.spawn(self._carry)

    def wait(self, call: Callable[[], Any]) -> Any:
        """Inside: the result of the call, made on a thread."""
        self.call, self.waits = call, True
        assert self.parent is not None
        value, error = self.parent.switch()
        self.waits = False
        if error is not None:
            raise error
        return value

    def forget(self) -> None:
        """Nobody wants the rest: a hop that waits ends when its thread comes back.

        A hop that cancels itself, as `take` does with its last value, goes on to its end.
        """
        self.unwanted = self.waits

    def _enter(self, *outcome: Any) -> None:
        # Whoever resumes it is its parent from now on: the one before may be gone, or be elsewhere.
        self.parent = getcurrent()
        if self.unwanted:
            self.throw(GreenletExit)
        else:
            self.switch(*outcome)
        over = self.over
        if self.dead and over is not None:
            self.over = None
            over()

    async def _carry(self) -> None:
        try:
            while not self.dead:
                # A thread cannot be stopped, so leaving the scope waits for it.
                with anyio.CancelScope(shield=True):
                    outcome = await self.scope.offload(self.scheduler, self._attempt)
                if self.unwanted and iscoroutine(outcome[0]):
                    outcome[0].close()
                await anyio.lowlevel.checkpoint_if_cancelled()
                self._enter(outcome)
        finally:
            if not self.dead:
                self.unwanted = True
                self._enter()

    def _attempt(self) -> Outcome:
        """On the thread. The error is a value: no future could carry a StopIteration."""
        call, self.call = self.call, None
        assert call is not None
        try:
            return call(), None
        except Exception as error:  # noqa: BLE001 - the function's error is raised where it was called
            return None, error
