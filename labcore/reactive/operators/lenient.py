"""on_error_continue: operators above it drop the element their function failed for, and go on.

It travels in the context, as in Reactor: an operator looks for it when it is subscribed to, so only
operators that know of it are lenient, and they are wherever they stand above it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from labcore.reactive.context import EMPTY
from labcore.reactive.core import Down, Feed, Source
from labcore.reactive.errors import blame
from labcore.reactive.hop import placed

T = TypeVar("T")
Matching = type[Exception] | tuple[type[Exception], ...]


class _Key:
    """The context's key of a `Lenience`."""

    def __repr__(self) -> str:
        return "<on_error_continue>"


_LENIENCE = _Key()


@dataclass(frozen=True, slots=True)
class Lenience:
    """Who is told of a failure, and of which."""

    action: Callable[[Exception, Any], object]
    only: Matching

    def refuse(self, error: Exception, value: Any) -> Exception | None:
        """None when the element is to be dropped, else the error that ends the stream."""
        if not isinstance(error, self.only):
            return error
        try:
            self.action(error, value)
        except Exception as fault:  # noqa: BLE001 - it is the signal, and names what it was told
            fault.__context__ = error
            return blame(fault, "on_error_continue", self.action)
        return None


def lenience(down: Down[Any]) -> Lenience | None:
    """What an operator with this subscriber shall do with a failure; None: end with it."""
    if down.context is EMPTY:
        return None
    found: Lenience | None = down.context.get(_LENIENCE)
    return found


def refused(down: Down[Any], error: Exception, value: Any) -> Exception | None:
    """The error to end with, or None when the element is dropped and nothing else happens."""
    lenient = lenience(down)
    return error if lenient is None else lenient.refuse(error, value)


def leniently(source: Source[Any], lenient: Lenience | None) -> Feed:
    """The feed of on_error_continue and on_error_stop."""

    def feed(down: Down[Any]) -> None:
        here = lenient and replace(lenient, action=placed(lenient.action, down))
        context = down.context.put(_LENIENCE, here)
        source.feed(Down(down.start, down.offer, down.fail, down.complete, down.scope, context))

    return feed


class SharedLenient(Source[T]):
    """Going on after failures, on Flux and Mono."""

    __slots__ = ()

    def on_error_continue(
        self, action: Callable[[Exception, Any], object], *, only: Matching = Exception
    ) -> Self:
        """Operators above it that know of it drop the element their function fails for, and go on.

            --4--0--5--|
              map(20 / n)               fails for 0
              on_error_continue(log)    log: ZeroDivisionError, 0
            --5-----4--|

        `action(error, element)` is told. It acts in `map`, `filter`, `handle`, `do_on_next`, `scan`,
        `skip_while`, `distinct`, `distinct_until_changed`, and in `flat_map` and `concat_map`: there for an
        element whose mapper fails, and for an inner stream or call that fails (the element is None then;
        values it gave before stay). Only for the types in `only`; an error of `action` ends the stream.

        Pitfalls: it changes operators above, far away and inside the streams that mappers give, and no
        others: a source, a timeout, a fold or an operator of your own ends as ever. An operator such as
        on_error_resume between sees nothing any more. `on_error_stop()` ends its reach. Prefer
        `flat_map(lambda n: parse(n).on_error_resume(...))`, which says where it acts.

        >>> seen = []
        >>> Flux.just(4, 0, 5).map(lambda n: 20 // n).on_error_continue(
        ...     lambda error, n: seen.append(n)).collect_list().block(), seen
        ([5, 4], [0])

        Reactor: Flux.onErrorContinue, Mono.onErrorContinue
        """
        return self.like(leniently(self, Lenience(action, only)))

    def on_error_stop(self) -> Self:
        """Operators above it end at their first failure again, whatever an on_error_continue below says.

            --4--0--5--|
              map(20 / n)
              on_error_stop()
              on_error_continue(log)
            --5--X

        >>> Flux.just(4, 0).map(lambda n: 20 // n).on_error_stop().on_error_continue(print).on_error_return(
        ...     -1).collect_list().block()
        [5, -1]

        Reactor: Flux.onErrorStop, Mono.onErrorStop
        """
        return self.like(leniently(self, None))
