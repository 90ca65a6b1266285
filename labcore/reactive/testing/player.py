"""Plays a script against a publisher: a subscriber that runs the steps inside its handlers.

Steps run synchronously at the signal they wait for, so that a `then_request` or `then_cancel` takes
effect at that very element, and a verified stream costs no task switch per element. Whatever needs
time (a pause, an awaitable task) is handed to the ground or to the driver.
"""

import inspect
import threading
from asyncio import Event
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from labcore.reactive.spec import UNBOUNDED, Subscription, add_demand
from labcore.reactive.testing.failure import Place, VerificationError
from labcore.reactive.testing.ground import Ground
from labcore.reactive.testing.signals import History, Kind, Signal, show
from labcore.reactive.testing.steps import (
    Ask,
    Cancel,
    Errand,
    Mismatch,
    Need,
    Pass,
    Peek,
    Playing,
    Quiet,
    Record,
    Step,
    Take,
    subscription,
)


class _Waits(Exception):  # noqa: N818 - not an error: the need cannot be met yet
    """The script stands still until a signal, the ground or the driver moves it."""


class Player:
    """A subscriber that follows a script; `failure` tells how it went once `over`."""

    def __init__(self, steps: Sequence[Step], *, initial_request: int, name: str) -> None:
        self.over = False
        self.failure: VerificationError | None = None
        self.ground: Ground | None = None
        self.came_to_rest = threading.Event()
        self._bell = Event()
        self._open = False
        self._steps = steps
        self._initial_request = initial_request
        self._name = name
        self._index = 0
        self._playing: Playing | None = None
        self._need: Need | None = None
        self._busy = False
        self._inbox: deque[Signal] = deque()
        self._history = History()
        self._subscription: Subscription | None = None
        self._ended = False
        self._error: BaseException | None = None  # shown as the cause of a failure
        self._requested = 0
        self._received = 0
        self._recorder: list[Any] | None = None
        self._pausing = False
        self._rested = False
        self._answers: dict[type, Callable[[Any], Any]] = {
            Take: self._take,
            Peek: self._peek,
            Ask: self._ask,
            Cancel: self._cancel,
            Pass: self._pass,
            Quiet: self._quiet,
            Errand: self._give_errand,
            Record: self._record,
        }
        self._errand: Callable[[], Any] | None = None

    # The subscriber.

    def on_subscribe(self, subscription_: Subscription) -> None:
        """Take the one subscription and send the initial request."""
        if self._subscription is not None:
            subscription_.cancel()
            self._fail("one subscription", "a second on_subscribe")
            return
        self._subscription = subscription_
        self._history.add(Kind.SUBSCRIBE.value)
        if self._steps[0].play is subscription:
            self._inbox.append(Signal(Kind.SUBSCRIBE))
        if self._initial_request:
            self._request(self._initial_request)
        self.go_on()

    def on_next(self, value: Any) -> None:
        """An element: counted against the demand, then played."""
        self._received += 1
        within = self._received <= self._requested
        self._receive(Signal(Kind.NEXT, value))
        if not within:
            self._fail(f"at most {self._requested} elements, as requested", f"next({show(value)})")

    def on_error(self, error: Exception) -> None:
        """The end, with an error."""
        self._error = error
        self._receive(Signal(Kind.ERROR, error))

    def on_complete(self) -> None:
        """The end."""
        self._receive(Signal(Kind.COMPLETE))

    # The driver.

    @property
    def expects_signal(self) -> bool:
        """Whether nothing but a signal moves the script."""
        return not self.over and isinstance(self._need, Take | Peek)

    def begin(self, ground: Ground) -> None:
        """Stand on that ground; the publisher is subscribed to next."""
        self.ground = ground

    async def until_over(self) -> None:
        """Run the script's awaitable tasks until it is over."""
        while not self.over:
            await self._bell.wait()
            self._bell.clear()
            errand, self._errand = self._errand, None
            if errand is not None:
                await self._run(errand)

    def stuck(self, next_in_s: float | None) -> None:
        """Fail: at rest, and nothing due could bring the signal that is expected."""
        wanted = cast("Take | Peek", self._need).expected
        if self._subscription is None:
            why = "the publisher never called on_subscribe"
        elif self._requested <= self._received:
            why = "no demand is open: is a then_request(n) missing?"
        elif next_in_s is not None:
            why = f"the next timer is due in {next_in_s:g} s: is a then_await(seconds) missing?"
        else:
            why = "no timer, thread or task is left that could send it"
        self._fail(wanted, f"nothing, and everything is at rest; {why}")

    def unfinished(self, why: str) -> VerificationError:
        """The failure of a script, or of its clean-up, that did not come to an end."""
        if self.over and self.failure is None:
            return VerificationError(None, expected="every clean-up to end", actual=why)
        wanted = self._need.expected if isinstance(self._need, Take | Peek) else "an end"
        self._conclude(wanted, why)
        assert self.failure is not None
        return self.failure

    def leave_open(self) -> None:
        """Somebody outside the loop may send signals until `close()`."""
        self._open = True

    def close(self) -> None:
        """Nobody outside sends anything any more; safe from any thread."""
        self._open = False

    def awaits_others(self) -> bool:
        """Whether somebody outside the loop may still send something; asked at rest."""
        self.came_to_rest.set()
        return self._open

    def go_on(self) -> None:
        """Play as far as the signals reach; called again inside, it leaves the rest to the first."""
        if self._busy:
            return
        self._busy = True
        try:
            while not self.over:
                self._move()
        except _Waits:
            pass
        finally:
            self._busy = False

    # Playing.

    def _move(self) -> None:
        try:
            if self._playing is None:
                self._playing = self._steps[self._index].play()
                self._need = next(self._playing)
            else:
                self._need = self._playing.send(self._meet(self._need))
        except StopIteration:
            self._next_step()
        except Mismatch as found:
            self._fail(found.expected, found.actual, cause=self._error)
        except _Waits:
            raise
        except Exception as exc:  # noqa: BLE001 - a user's callback failed: that is the finding
            self._fail("the step's own code to succeed", show(exc), cause=exc)

    def _next_step(self) -> None:
        self._playing = self._need = None
        self._index += 1
        if self._index == len(self._steps):
            self._index -= 1
            if self._inbox:
                self._fail("no signal after the end", str(self._inbox[0]))
            self._finish()

    def _meet(self, need: Need | None) -> Any:
        return self._answers[type(need)](need)

    def _take(self, _: Take) -> Signal:
        if not self._inbox:
            raise _Waits
        signal = self._inbox.popleft()
        if self._recorder is not None and signal.kind is Kind.NEXT:
            self._recorder.append(signal.value)
        return signal

    def _peek(self, _: Peek) -> Signal:
        if not self._inbox:
            raise _Waits
        return self._inbox[0]

    def _ask(self, need: Ask) -> None:
        self._request(need.n)

    def _cancel(self, _: Cancel) -> None:
        self._history.add("cancel")
        self._inbox.clear()
        if self._subscription is not None:
            self._subscription.cancel()

    def _pass(self, need: Pass | Quiet) -> None:
        if self._rested:
            self._pausing = self._rested = False
            return
        if not self._pausing:
            assert self.ground is not None
            self._pausing = True
            self.ground.let_pass(need.seconds, self._rest)
        raise _Waits

    def _quiet(self, need: Quiet) -> None:
        if self._inbox:
            raise Mismatch(f"no signal for {need.seconds:g} s", str(self._inbox[0]))
        self._pass(need)

    def _rest(self) -> None:
        self._rested = True
        self.go_on()

    def _give_errand(self, need: Errand) -> None:
        if self._rested:
            self._pausing = self._rested = False
            return
        if not self._pausing:
            self._pausing = True
            self._errand = need.work
            self._bell.set()
        raise _Waits

    async def _run(self, errand: Callable[[], Any]) -> None:
        try:
            result = errand()
            if inspect.isawaitable(result):
                await result
        except Exception as exc:  # noqa: BLE001 - a user's task failed: that is the finding
            self._fail("the task to succeed", show(exc), cause=exc)
        self._rest()

    def _record(self, need: Record) -> list[Any] | None:
        recorded, self._recorder = self._recorder, need.into
        return recorded if need.into is None else None

    # The subscription.

    def _request(self, n: int) -> None:
        assert self._subscription is not None
        if n > 0:
            self._requested = add_demand(self._requested, n)
        self._history.add(f"request({_demand(n)})")
        self._subscription.request(n)

    def _receive(self, signal: Signal) -> None:
        self._history.add(signal)
        if self._subscription is None:
            self._fail("on_subscribe before any signal", str(signal))
        elif self._ended:
            self._fail("no signal after the end", str(signal))
        self._ended = self._ended or signal.ends
        if not self.over:
            self._inbox.append(signal)
            self.go_on()

    def _fail(self, expected: str, actual: str, *, cause: BaseException | None = None) -> None:
        was_over = self.over
        self._conclude(expected, actual, cause=cause)
        if not was_over and self._subscription is not None and not self._ended:
            self._subscription.cancel()

    def _conclude(self, expected: str, actual: str, *, cause: BaseException | None = None) -> None:
        if self.failure is None:  # the first finding is the one that explains the others
            self.failure = VerificationError(self._place(), expected=expected, actual=actual)
            self.failure.__cause__ = cause
        self._finish()

    def _finish(self) -> None:
        self.over = True
        self._bell.set()

    def _place(self) -> Place:
        """Where the script stands now."""
        assert self.ground is not None
        return Place(
            script=self._name,
            number=self._index + 1,
            steps=len(self._steps),
            step=str(self._steps[self._index]),
            demand=self._demand_left(),
            signals=str(self._history),
            clock=f"{self.ground.now_s():g} s, {self.ground.clock}",
        )

    def _demand_left(self) -> str:
        if self._requested > UNBOUNDED // 2:
            return _demand(self._requested)
        return f"{self._requested - self._received} open of {self._requested}"


def _demand(n: int) -> str:
    return "unbounded" if n > UNBOUNDED // 2 else str(n)
