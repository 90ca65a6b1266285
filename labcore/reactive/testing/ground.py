"""What a script stands on: the loop that runs it, asked to let time pass and to report rest."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from labcore.reactive.testing.virtual_time import SAME_MOMENT_S, Rest, RestLoop, VirtualTimeLoop

_SETTLING_TURNS = 32  # on a loop that does not tell when it is at rest, this must do


class Script(Protocol):
    """The part of a player that the ground reports to."""

    @property
    def expects_signal(self) -> bool:
        """Whether the script goes on with a signal and with nothing else."""
        ...

    def awaits_others(self) -> bool:
        """Whether somebody outside the loop may still send something; asked at rest."""
        ...

    def stuck(self, next_in_s: float | None) -> None:
        """Nothing is left that could bring the signal."""
        ...


class Ground(Protocol):
    """Lets time pass for a script."""

    clock: str

    def now_s(self) -> float:
        """Seconds since the script began, on the loop's clock."""
        ...

    def let_pass(self, seconds: float, done: Callable[[], None]) -> None:
        """Call `done` when that time has passed and everything due has come to rest."""
        ...


class RestGround:
    """A loop that tells when it is at rest: pauses are exact, and a stuck script is seen at once."""

    def __init__(self, loop: RestLoop, script: Script) -> None:
        self._loop = loop
        self._began_s = loop.time()
        self._script = script
        self._virtual = loop if isinstance(loop, VirtualTimeLoop) else None
        self._until_s = 0.0
        self._done: Callable[[], None] | None = None
        self.clock = "virtual" if self._virtual else "real"

    def now_s(self) -> float:
        """Seconds since the script began, on the loop's clock."""
        return self._loop.time() - self._began_s

    def let_pass(self, seconds: float, done: Callable[[], None]) -> None:
        """Call `done` at rest, `seconds` from now, after everything due until then."""
        self._until_s = self._loop.time() + seconds
        self._done = done
        if self._virtual is None and seconds > 0:
            self._loop.call_at(self._until_s, _nothing)  # the real loop must wake for it

    def at_rest(self, next_in_s: float | None) -> Rest:
        """End the pause when its time is over, tell a script that cannot go on, else go on."""
        if self._done is not None:
            return self._pause(self._done, next_in_s)
        if not self._script.expects_signal:
            return Rest.NEXT_TIMER
        if self._script.awaits_others():
            return Rest.WAIT
        if self._virtual is None and next_in_s is not None:
            return Rest.NEXT_TIMER
        if self._loop.listens:
            return Rest.WAIT
        self._script.stuck(next_in_s)
        return Rest.GO_ON

    def _pause(self, done: Callable[[], None], next_in_s: float | None) -> Rest:
        left_s = self._until_s - self._loop.time()
        if (
            self._virtual
            and left_s > 0
            and (next_in_s is None or next_in_s > left_s + SAME_MOMENT_S)
        ):
            self._virtual.advance(left_s)
            left_s = 0.0
        if left_s > SAME_MOMENT_S or (next_in_s is not None and next_in_s <= SAME_MOMENT_S):
            return Rest.NEXT_TIMER
        self._done = None
        done()
        return Rest.GO_ON


class ForeignGround:
    """Somebody else's loop: time is real, and rest is taken for granted after a number of turns."""

    clock = "real"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._began_s = loop.time()

    def now_s(self) -> float:
        """Seconds since the script began, on the loop's clock."""
        return self._loop.time() - self._began_s

    def let_pass(self, seconds: float, done: Callable[[], None]) -> None:
        """Call `done` after that time and a number of turns of the loop."""
        self._loop.call_later(seconds, self._settle, _SETTLING_TURNS, done)

    def _settle(self, turns: int, done: Callable[[], None]) -> None:
        if turns:
            self._loop.call_soon(self._settle, turns - 1, done)
        else:
            done()


def _nothing() -> None:
    """A timer's wake-up is all that is wanted."""
