"""Operators that answer failures: fall back, translate, try again."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from labcore.kernel import UsageError
from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import IDLE, Down, Feed, Source, Step
from labcore.reactive.errors import beyond, blame, check_not_negative
from labcore.reactive.hop import placed
from labcore.reactive.operators.companions import (
    RepeatCompanion,
    RepeatingWith,
    RetryCompanion,
    RetryingWith,
    accompanied,
)
from labcore.reactive.operators.create import as_source
from labcore.reactive.operators.relay import Relay
from labcore.reactive.retry import Retry, RetrySignal
from labcore.reactive.scope import Timer
from labcore.reactive.spec import Publisher, Subscription

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux

T = TypeVar("T")
Matching = type[Exception] | tuple[type[Exception], ...]


class Resuming(Relay):
    """Another source after a failure, once; unmet demand moves over."""

    __slots__ = ("fallback", "only", "resumed")

    def __init__(
        self, down: Down[Any], fallback: Callable[[Exception], Publisher[Any]], only: Matching
    ) -> None:
        super().__init__(down)
        self.fallback = placed(fallback, down)
        self.only = only
        self.resumed = False

    def fail(self, error: Exception) -> None:
        """Ask for the fallback; its own failure is the signal."""
        if self.resumed or not isinstance(error, self.only):
            super().fail(error)
            return
        self.resumed = True
        try:
            other = as_source(self.fallback(error))
        except Exception as fault:  # noqa: BLE001 - the fallback's own error is the signal
            super().fail(blame(fault, "on_error_resume", self.fallback))
            return
        self.switch(other)


class Translating(Step[Any]):
    """Another error in place of a failure."""

    __slots__ = ("only", "translate")

    def __init__(
        self, down: Down[Any], translate: Callable[[Exception], Exception], only: Matching
    ) -> None:
        super().__init__(down)
        self.translate = placed(translate, down)
        self.only = only
        self.offer = down.offer

    def start(self, subscription: Subscription) -> None:
        """Nothing is kept: this is no part of what goes up."""
        self.down.start(subscription)

    def fail(self, error: Exception) -> None:
        """The other error, the first as its cause."""
        if not isinstance(error, self.only):
            self.down.fail(error)
            return
        try:
            translated = self.translate(error)
        except Exception as fault:  # noqa: BLE001 - the function's error is the signal
            self.replace(error, blame(fault, "on_error_map", self.translate))
        else:
            self.replace(error, translated)

    def replace(self, error: Exception, translated: Exception) -> None:
        """The other error goes down."""
        if translated is not error and translated.__cause__ is None:
            translated.__cause__ = error
        self.down.fail(translated)


def resuming(
    source: Source[Any], fallback: Callable[[Exception], Publisher[Any]], only: Matching
) -> Feed:
    """The feed of the operators that answer a failure with a stream."""

    def feed(down: "Down[Any]") -> None:
        Resuming(down, fallback, only).begin(source)

    return feed


class Again(Relay):
    """Subscribes to its source anew, after a wait."""

    __slots__ = ("source", "timer")

    def __init__(self, down: Down[Any], source: Source[Any]) -> None:
        super().__init__(down)
        self.source = source
        self.timer: Timer | None = None

    def run(self) -> None:
        """The first time."""
        self.begin(self.source)

    def wait(self, delay_s: float) -> None:
        """Once more, later.

        Through the loop even without a wait: a source that ends at once, always, must not stop
        everybody else.
        """
        self.up = IDLE
        self.timer = self.scope.later(delay_s, self.again)

    def again(self) -> None:
        """Once more."""
        self.timer = None
        self.switch(self.source)

    def ended(self) -> None:
        """Cancelled while waiting."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()


class Retrying(Again):
    """Subscribes again after a failure, when and as often as the rule says."""

    __slots__ = ("in_row", "rule", "total")

    def __init__(self, down: Down[Any], source: Source[Any], rule: Retry) -> None:
        super().__init__(down, source)
        self.rule = rule
        self.total = self.in_row = 0

    def offer(self, value: Any) -> bool:
        """A value ends the row of failures."""
        self.in_row = 0
        return super().offer(value)

    def fail(self, error: Exception) -> None:
        """Ask the rule; wait; try again."""
        try:
            wait_s = self.rule.delay_s(RetrySignal(self.total, self.in_row, error))
        except Exception as final:  # noqa: BLE001 - the rule raises what the stream ends with
            # Without the frames of this call and the rule's: they hold the error, which holds them.
            super().fail(beyond(final, 2))
            return
        self.total += 1
        self.in_row += 1
        self.wait(wait_s)


def retrying(source: Source[Any], rule: Retry) -> Feed:
    """The feed of retry and retry_when."""

    def feed(down: "Down[Any]") -> None:
        Retrying(down, source, rule).run()

    return feed


class Repeating(Again):
    """The source again after each completion."""

    __slots__ = ("delay_s", "left")

    def __init__(self, down: Down[Any], source: Source[Any], times: float, delay_s: float) -> None:
        super().__init__(down, source)
        self.left = times
        self.delay_s = delay_s

    def complete(self) -> None:
        """Once more, unless it was often enough."""
        if self.left <= 0:
            super().complete()
            return
        self.left -= 1
        self.wait(self.delay_s)


def repeating(source: Source[Any], times: float, delay_s: float) -> Feed:
    """The feed of repeat."""

    def feed(down: "Down[Any]") -> None:
        Repeating(down, source, times, delay_s).run()

    return feed


class SharedErrors(Source[T]):
    """Answering failures, on Flux and Mono."""

    __slots__ = ()

    def on_error_return(self, value: T, *, only: Matching = Exception) -> Self:
        """That value in place of a failure (of the types in `only`).

            --1--X
              on_error_return(0)
            --1--0|

        >>> Mono.error(OSError()).on_error_return(0).block()
        0

        Reactor: Flux.onErrorReturn, Mono.onErrorReturn
        """
        return self.like(resuming(self, lambda _: lib.Mono.just(value), only))

    def on_error_resume(
        self, fallback: Callable[[Exception], Publisher[T]], *, only: Matching = Exception
    ) -> Self:
        """The stream that `fallback(error)` gives, after a failure (of the types in `only`).

            --1--X
              on_error_resume(--8--9--|)
            --1----8--9--|

        It sees failures of what is above it, never those below.

        >>> Mono.error(OSError()).on_error_resume(lambda _: Mono.just(8)).block()
        8

        Reactor: Flux.onErrorResume, Mono.onErrorResume
        """
        return self.like(resuming(self, fallback, only))

    def on_error_map(
        self, translate: Callable[[Exception], Exception], *, only: Matching = Exception
    ) -> Self:
        """Another error in its place, the first as its cause.

            --1--X
              on_error_map(translate)
            --1--Y

        >>> Mono.error(OSError()).on_error_map(lambda e: ValueError("bad")).on_error_return(0).block()
        0

        Reactor: Flux.onErrorMap, Mono.onErrorMap
        """

        def feed(down: "Down[Any]") -> None:
            self.feed(Translating(down, translate, only))

        return self.like(feed)

    def on_error_complete(self, *, only: Matching = Exception) -> Self:
        """The end in place of a failure.

            --1--X
              on_error_complete()
            --1--|

        >>> Mono.error(OSError()).on_error_complete().block() is None
        True

        Reactor: Flux.onErrorComplete, Mono.onErrorComplete
        """
        return self.like(resuming(self, lambda _: lib.Mono.empty(), only))

    def retry(self, times: float = math.inf) -> Self:
        """Subscribe again after a failure, at most so often, without waiting.

            --1--X
              retry(1)
            --1----1--X

        After the last attempt the failure itself passes through.

        >>> outcomes = iter([OSError(), 5])
        >>> def flaky():
        ...     match next(outcomes):
        ...         case Exception() as error: raise error
        ...         case value: return value
        >>> Mono.from_callable(flaky).retry(1).block()
        5

        Reactor: Flux.retry, Mono.retry
        """
        check_not_negative("times", times)
        return self.like(retrying(self, Retry(times, on_exhausted=lambda signal: signal.failure)))

    def retry_when(self, rule: Retry | RetryCompanion) -> Self:
        """Subscribe again when and as often as the rule, or a companion stream, says.

            --1--X
              retry_when(Retry.fixed_delay(1, 2))
            --1------1--X

        Raises downstream: RetryExhaustedError, its cause the last failure.

        A function gets the stream of failures (RetrySignal) and gives the companion: each of its
        values subscribes again, its completion completes the stream and its error fails it, at once
        even while an attempt runs. It is asked for one value per failure.

        >>> Mono.error(OSError()).retry_when(Retry.max(2)).on_error_return("gave up").block()
        'gave up'
        >>> Mono.error(OSError()).retry_when(lambda failures: failures.take(2)).block() is None
        True

        Difference: the stream of failures has one reader; share() it for more.

        Reactor: Flux.retryWhen, Mono.retryWhen; for a function Retry.from
        """
        if isinstance(rule, Retry):
            return self.like(retrying(self, rule))
        return self.like(accompanied(self, rule, RetryingWith))

    def repeat(self, times: float = math.inf) -> "Flux[T]":
        """Subscribe again after each completion, so often again.

            --1--|
              repeat(1)
            --1----1--|

        >>> Mono.just(1).repeat(2).collect_list().block()
        [1, 1, 1]

        Reactor: Flux.repeat, Mono.repeat
        """
        check_not_negative("times", times)
        return lib.Flux(repeating(self, times, 0.0))

    @overload
    def repeat_when(self, companion: RepeatCompanion) -> "Flux[T]": ...

    @overload
    def repeat_when(self, *, delay_s: float, times: float = math.inf) -> "Flux[T]": ...

    def repeat_when(
        self,
        companion: RepeatCompanion | None = None,
        *,
        delay_s: float | None = None,
        times: float = math.inf,
    ) -> "Flux[T]":
        """Subscribe again after each completion, `delay_s` seconds later or when a companion says.

            --1--|
              repeat_when(delay_s=2)
            --1------1------1...

        The companion is given the stream of how many values each run had; each value of it subscribes
        again, its completion completes the stream and its error fails it. Give it, or `delay_s` (and
        how often with `times`).

        >>> Mono.just(1).repeat_when(delay_s=0.001, times=1).collect_list().block()
        [1, 1]
        >>> source = Flux.just(1, 2)
        >>> source.repeat_when(lambda runs: runs.take_while(bool).take(2)).collect_list().block()
        [1, 2, 1, 2]

        Difference: the stream of counts has one reader; share() it for more.

        Reactor: Flux.repeatWhen, Mono.repeatWhen; for `delay_s` with delayElements in its companion
        """
        if (companion is None) == (delay_s is None):
            raise UsageError("repeat_when() takes either a companion function or delay_s")
        if companion is not None:
            return lib.Flux(accompanied(self, companion, RepeatingWith))
        assert delay_s is not None
        check_not_negative("delay_s", delay_s)
        check_not_negative("times", times)
        return lib.Flux(repeating(self, times, delay_s))
