"""Verifying a finished script: on a loop of its own, on the caller's loop, or later."""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread

from labcore.reactive.scope import Hooks, Scope
from labcore.reactive.spec import Publisher
from labcore.reactive.testing.ground import ForeignGround, Ground, RestGround
from labcore.reactive.testing.outcome import Outcome
from labcore.reactive.testing.player import Player
from labcore.reactive.testing.steps import Step
from labcore.reactive.testing.virtual_time import (
    OverdueError,
    RestLoop,
    StalledError,
    VirtualTimeLoop,
    run_on,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """What a script is played against, and on which clock."""

    publisher: Callable[[], Publisher[T]]
    virtual: bool
    initial_request: int
    name: str


class Verification(Generic[T]):
    """A script with its end: subscribes and plays each time it is verified."""

    def __init__(self, setting: Setting[T], steps: tuple[Step, ...]) -> None:
        self._setting = setting
        self._steps = steps

    def verify(self, timeout_s: float = 10.0) -> float:
        """Play the script on a loop of its own and return its duration, seconds of its clock.

        Blocks. Inside a running loop (a notebook cell) the loop lives in a thread of its own. Every
        clean-up of the subscription has ended when this returns.

        Args:
            timeout_s: Bound of the real time, seconds, whatever the clock.

        Raises:
            VerificationError: When the publisher does not follow the script; at once when nothing
                is left that could move it on.
        """
        __tracebackhide__ = True
        return self.verify_then_assert_that(timeout_s).duration_s

    def verify_then_assert_that(self, timeout_s: float = 10.0) -> Outcome:
        """As `verify`, and what was dropped and discarded can be asserted afterwards."""
        __tracebackhide__ = True
        return _Attempt(self._setting, self._steps).run(timeout_s)

    async def verify_async(self, timeout_s: float = 10.0) -> float:
        """As `verify`, awaited; the caller's loop plays the script.

        With virtual time it is a virtual loop in a thread, unless the caller's loop is virtual itself
        (then its own real-time limit holds). A loop that is not one of ours cannot tell when it is at
        rest: there a script that cannot go on fails at `timeout_s`.
        """
        attempt = _Attempt(self._setting, self._steps)
        on_virtual_loop = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
        if self._setting.virtual and not on_virtual_loop:
            outcome = await anyio.to_thread.run_sync(attempt.run, timeout_s)
        else:
            outcome = await attempt.run_here(timeout_s)
        return outcome.duration_s

    def verify_later(self, timeout_s: float = 10.0) -> "LaterVerification":
        """Subscribe now, in a thread with its own loop; signals may be sent before `verify()`.

        Returns when the publisher is subscribed to and everything is at rest. The verification
        ends by itself when `timeout_s` of real time have passed.
        """
        return LaterVerification(_Attempt(self._setting, self._steps), timeout_s)


class LaterVerification:
    """A verification under way."""

    def __init__(self, attempt: "_Attempt[Any]", timeout_s: float) -> None:
        self._attempt = attempt
        attempt.player.leave_open()
        pool = ThreadPoolExecutor(1, thread_name_prefix="labcore-verifier")
        self._future = pool.submit(contextvars.copy_context().run, attempt.run, timeout_s)
        pool.shutdown(wait=False)  # the thread ends with the run
        self._future.add_done_callback(lambda _: attempt.player.came_to_rest.set())
        attempt.player.came_to_rest.wait()

    def verify(self) -> float:
        """No signal is sent from outside any more: how the script went, as `Verification.verify`."""
        __tracebackhide__ = True
        self._attempt.close()
        return self._future.result().duration_s


class _Attempt(Generic[T]):
    """One subscription and its player."""

    def __init__(self, setting: Setting[T], steps: tuple[Step, ...]) -> None:
        self._setting = setting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._duration_s = 0.0
        self._dropped: list[Any] = []
        self._discarded: list[Any] = []
        self._dropped_errors: list[BaseException] = []
        self.player = Player(steps, initial_request=setting.initial_request, name=setting.name)

    def run(self, timeout_s: float) -> Outcome:
        """Play on a loop of the setting's kind."""
        __tracebackhide__ = True
        factory = VirtualTimeLoop if self._setting.virtual else RestLoop
        try:
            run_on(factory, self._play, timeout_s=timeout_s)
        except (OverdueError, StalledError) as exc:
            raise self.player.unfinished(str(exc)) from exc
        return self._judge()

    async def run_here(self, timeout_s: float) -> Outcome:
        """Play on the running loop."""
        virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
        with anyio.move_on_after(None if virtual else timeout_s) as limit:
            await self._play()
        if limit.cancelled_caught:
            raise self.player.unfinished(f"not within {timeout_s:g} s")
        return self._judge()

    def close(self) -> None:
        """Nobody outside will send anything any more."""
        self.player.close()
        with suppress(RuntimeError):  # closed already when the script was over before
            if self._loop is not None:
                self._loop.call_soon_threadsafe(_nothing)

    async def _play(self) -> None:
        self._loop = asyncio.get_running_loop()
        with self._standing(self._loop) as ground:
            await self._play_on(ground)

    async def _play_on(self, ground: Ground) -> None:
        self.player.begin(ground)
        hooks = Hooks(
            next_dropped=self._dropped.append,
            error_dropped=self._dropped_errors.append,
            discarded=self._discarded.append,
        )
        async with Scope(hooks=hooks) as scope:
            self._setting.publisher().subscribe(self.player, scope=scope)
            await self.player.until_over()
            self._duration_s = ground.now_s()

    @contextmanager
    def _standing(self, loop: asyncio.AbstractEventLoop) -> Iterator[Ground]:
        if not isinstance(loop, RestLoop) or loop.watcher is not None:
            yield ForeignGround(loop)
            return
        ground = loop.watcher = RestGround(loop, self.player)
        try:
            yield ground
        finally:
            loop.watcher = None

    def _judge(self) -> Outcome:
        __tracebackhide__ = True
        if self.player.failure is not None:
            raise self.player.failure
        return Outcome(
            self._duration_s,
            dropped=self._dropped,
            discarded=self._discarded,
            dropped_errors=self._dropped_errors,
        )


def _nothing() -> None:
    """A turn of the loop is all that is wanted."""
