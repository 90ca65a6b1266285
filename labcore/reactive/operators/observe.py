"""Operators that look on: side effects at every signal, the context, resources, recordings."""
# ruff: noqa: C901, PLR0915 - an operator is closures over its state: ruff adds the nested ones up

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.context import Context
from labcore.reactive.core import Down, Feed, Link, Source, reject
from labcore.reactive.errors import blame
from labcore.reactive.operators.create import as_source, deferred
from labcore.reactive.operators.elements import fused, mapping
from labcore.reactive.record import Recording, recorded
from labcore.reactive.scope import Scope
from labcore.reactive.spec import Publisher, SignalType, Subscription

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux, Mono

T = TypeVar("T")
U = TypeVar("U")


Quiet = Callable[[], object]


def watching(
    source: Source[Any],
    *,
    subscribe: Quiet | None = None,
    request: Callable[[int], object] | None = None,
    cancel: Quiet | None = None,
    error: Callable[[Exception], object] | None = None,
    complete: Quiet | None = None,
    lastly: Callable[[SignalType], object] | None = None,
) -> Feed:
    """Calls at signals other than values."""

    def feed(down: Down[Any]) -> None:
        up: Subscription | None = None
        over = False

        def end(kind: SignalType) -> None:
            nonlocal over
            if over:
                return
            over = True
            if lastly is not None:
                try:
                    lastly(kind)
                except Exception as fault:  # noqa: BLE001 - the stream is over: nobody else can be told
                    down.scope.drop_error(blame(fault, "do_finally", lastly))

        def start(subscription: Subscription) -> None:
            nonlocal up
            up = subscription
            if subscribe is not None:
                try:
                    subscribe()
                except Exception as fault:  # noqa: BLE001 - the callback's error is the signal
                    subscription.cancel()
                    down.start(Link(_ignore, _nothing))
                    down.fail(blame(fault, "do_on_subscribe", subscribe))
                    return
            down.start(Link(ask, stop))

        def ask(n: int) -> None:
            if request is not None and not over:
                try:
                    request(n)
                except Exception as fault:  # noqa: BLE001 - the callback's error is the signal
                    if up is not None:
                        up.cancel()
                    fail(blame(fault, "do_on_request", request))
                    return
            if up is not None:
                up.request(n)

        def stop() -> None:
            if cancel is not None and not over:
                try:
                    cancel()
                except Exception as fault:  # noqa: BLE001 - a cancelled stream tells nobody else
                    down.scope.drop_error(blame(fault, "do_on_cancel", cancel))
            if up is not None:
                up.cancel()
            end(SignalType.CANCEL)

        def fail(failure: Exception) -> None:
            if error is not None:
                try:
                    error(failure)
                except Exception as fault:  # noqa: BLE001 - it replaces the failure, which it names
                    fault.__context__ = failure
                    failure = blame(fault, "do_on_error", error)
            down.fail(failure)
            end(SignalType.ON_ERROR)

        def finish() -> None:
            if complete is not None:
                try:
                    complete()
                except Exception as fault:  # noqa: BLE001 - the callback's error is the signal
                    fail(blame(fault, "do_on_complete", complete))
                    return
            down.complete()
            end(SignalType.ON_COMPLETE)

        source.feed(down.above(start=start, fail=fail, complete=finish))

    return feed


def _ignore(_: int) -> None:
    """Nothing is left to ask for."""


def _nothing() -> None:
    """Nothing is left to stop."""


def tapping(source: Source[Any], action: Callable[[Any], object]) -> Feed:
    """A call at each value."""

    def same(value: Any) -> Any:
        action(value)
        return value

    same.__name__ = getattr(action, "__name__", type(action).__name__)
    return mapping(source, same, "do_on_next")


def tap_stage(action: Callable[[Any], object]) -> Callable[[Iterator[Any], Scope], Iterator[Any]]:
    """A call at each value, for fused segments."""

    def stage(values: Iterator[Any], _: Scope) -> Iterator[Any]:
        for value in values:
            try:
                action(value)
            except Exception as error:  # noqa: BLE001 - passed on with its place noted
                raise blame(error, "do_on_next", action) from error.__cause__
            yield value

    return stage


def resourceful(
    acquire: Callable[[], Any],
    use: Callable[[Any], Any],
    release: Callable[[Any], object],
    *,
    eager: bool,
) -> Feed:
    """A stream over a resource that is released whatever happens."""

    def feed(down: Down[Any]) -> None:
        try:
            resource = acquire()
        except Exception as error:  # noqa: BLE001 - without a resource the stream is the failure
            reject(down, blame(error, "using", acquire))
            return
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                release(resource)

        def late() -> None:
            try:
                give_back()
            except Exception as fault:  # noqa: BLE001 - the stream is over: nobody else can be told
                down.scope.drop_error(blame(fault, "using", release))

        def complete() -> None:
            if eager:
                try:
                    give_back()
                except Exception as fault:  # noqa: BLE001 - it replaces the completion
                    down.fail(blame(fault, "using", release))
                    return
            down.complete()
            late()

        def fail(error: Exception) -> None:
            if eager:
                try:
                    give_back()
                except Exception as fault:  # noqa: BLE001 - it replaces the failure, which it names
                    fault.__context__ = error
                    error = blame(fault, "using", release)
            down.fail(error)
            late()

        def start(subscription: Subscription) -> None:
            def cancel() -> None:
                subscription.cancel()
                late()

            down.start(Link(subscription.request, cancel))

        try:
            source = as_source(use(resource))
        except Exception as error:  # noqa: BLE001 - the factory's error is the signal
            down.start(Link(_ignore, _nothing))
            fail(error)
            return
        source.feed(down.above(start=start, fail=fail, complete=complete))

    return feed


class SharedObserve(Source[T]):
    """Looking on, on Flux and Mono."""

    __slots__ = ()

    def do_on_next(self, action: Callable[[T], object]) -> Self:
        """`action(value)` before each value is passed on.

            --1--2--|
              do_on_next(log)      log: 1, 2
            --1--2--|

        >>> seen = []
        >>> Flux.just(1, 2).do_on_next(seen.append).collect_list().block(), seen
        ([1, 2], [1, 2])

        Reactor: Flux.doOnNext, Mono.doOnNext
        """
        return self.like(tapping(self, action), fusion=fused(self, tap_stage(action)))

    def record(self, recording: Recording) -> Self:
        """Marks every signal and request that passes here, with its time, in the recording.

            request(2) --1--2--|
              record(r)      r.marks: subscribe, request 2, next 1, next 2, complete
            --1--2--|

        >>> recording = Recording()
        >>> Flux.just(7).record(recording).collect_list().block()
        [7]
        >>> [mark.kind.value for mark in recording.marks]
        ['subscribe', 'request', 'next', 'complete']

        Reactor: Flux.log comes nearest
        """
        return self.like(recorded(self, recording))

    def do_on_error(self, action: Callable[[Exception], object]) -> Self:
        """`action(error)` before a failure is passed on.

            --1--X
              do_on_error(log)     log: X
            --1--X

        >>> Mono.error(OSError("x")).do_on_error(print).on_error_return(0).block()
        x
        0

        Reactor: Flux.doOnError, Mono.doOnError
        """
        return self.like(watching(self, error=action))

    def do_on_complete(self, action: Quiet) -> Self:
        """`action()` before the completion is passed on.

            --1--|
              do_on_complete(log)  log: end
            --1--|

        >>> Mono.just(1).do_on_complete(lambda: print("end")).block()
        end
        1

        Reactor: Flux.doOnComplete; on Mono doOnSuccess comes nearest
        """
        return self.like(watching(self, complete=action))

    def do_on_terminate(self, action: Quiet) -> Self:
        """`action()` before either end is passed on.

            --1--X
              do_on_terminate(log) log: end
            --1--X

        >>> Mono.just(1).do_on_terminate(lambda: print("end")).block()
        end
        1

        Reactor: Flux.doOnTerminate, Mono.doOnTerminate
        """
        return self.like(watching(self, complete=action, error=lambda _: action()))

    def do_on_subscribe(self, action: Quiet) -> Self:
        """`action()` when the source has accepted the subscription.

            subscribe
              do_on_subscribe(log) log: begin
            --1--|

        >>> Mono.just(1).do_on_subscribe(lambda: print("begin")).block()
        begin
        1

        Reactor: Flux.doOnSubscribe, Mono.doOnSubscribe
        """
        return self.like(watching(self, subscribe=action))

    def do_on_request(self, action: Callable[[int], object]) -> Self:
        """`action(n)` at each request, before it goes up.

            request(2)
              do_on_request(log)   log: 2
            --1--2

        >>> Flux.just(1, 2).do_on_request(print).take(2).collect_list().block()
        2
        [1, 2]

        Reactor: Flux.doOnRequest, Mono.doOnRequest
        """
        return self.like(watching(self, request=action))

    def do_on_cancel(self, action: Quiet) -> Self:
        """`action()` when the subscriber cancels, before the source is.

            --1--
              do_on_cancel(log)    log: cancel
            --1

        >>> Flux.range(0, 9).do_on_cancel(lambda: print("cancel")).take(1).collect_list().block()
        cancel
        [0]

        Reactor: Flux.doOnCancel, Mono.doOnCancel
        """
        return self.like(watching(self, cancel=action))

    def do_finally(self, action: Callable[[SignalType], object]) -> Self:
        """`action(signal_type)` once, after the end was passed on or the stream cancelled.

            --1--|
              do_finally(log)      log: on_complete, last
            --1--|

        >>> Mono.just(1).do_finally(lambda kind: print(kind.value)).block()
        on_complete
        1

        Reactor: Flux.doFinally, Mono.doFinally
        """
        return self.like(watching(self, lastly=action))

    def context_write(self, entries: Mapping[Any, Any] | Callable[[Context], Context]) -> Self:
        """Entries that everything above this point can read with defer_contextual.

            defer_contextual(read "user")
              context_write({"user": "Ada"})
            --Ada|

        >>> read = Mono.defer_contextual(lambda context: Mono.just(context["user"]))
        >>> read.context_write({"user": "Ada"}).block()
        'Ada'

        Reactor: Flux.contextWrite, Mono.contextWrite
        """

        def feed(down: Down[Any]) -> None:
            if callable(entries):
                try:
                    context = entries(down.context)
                except Exception as error:  # noqa: BLE001 - the function's error is the signal
                    reject(down, blame(error, "context_write", entries))
                    return
            else:
                context = down.context.put_all(entries)
            self.feed(Down(down.start, down.offer, down.fail, down.complete, down.scope, context))

        return self.like(feed)


class FluxObserve(SharedObserve[T]):
    """Flux beginnings that read the context or hold a resource."""

    __slots__ = ()

    @staticmethod
    def defer_contextual(make: Callable[[Context], Publisher[U]]) -> "Flux[U]":
        """A stream made for each subscriber from its context.

            context -> make(context) --1--|

        >>> read = Flux.defer_contextual(lambda context: Flux.just(*context["items"]))
        >>> read.context_write({"items": [1, 2]}).collect_list().block()
        [1, 2]

        Reactor: Flux.deferContextual
        """
        return lib.Flux(deferred(lambda down: as_source(make(down.context))))

    @staticmethod
    def using(
        acquire: Callable[[], U],
        use: Callable[[U], Publisher[T]],
        release: Callable[[U], object],
        *,
        eager: bool = True,
    ) -> "Flux[T]":
        """A stream over a resource, which is released at its end or when it is cancelled.

            acquire() -> --1--2--| -> release()

        Eager: before the end is passed on, so that an error of `release` replaces it; else after.

        >>> Flux.using(lambda: [1, 2], Flux.from_iterable, list.clear).collect_list().block()
        [1, 2]

        Reactor: Flux.using
        """
        return lib.Flux(resourceful(acquire, use, release, eager=eager))


class MonoObserve(SharedObserve[T]):
    """Mono beginnings that read the context or hold a resource."""

    __slots__ = ()

    @staticmethod
    def defer_contextual(make: Callable[[Context], Publisher[U]]) -> "Mono[U]":
        """A Mono made for each subscriber from its context.

            context -> make(context) --1|

        >>> read = Mono.defer_contextual(lambda context: Mono.just(len(context)))
        >>> read.block()
        0

        Reactor: Mono.deferContextual
        """
        return lib.Mono(deferred(lambda down: as_source(make(down.context))))

    @staticmethod
    def using(
        acquire: Callable[[], U],
        use: Callable[[U], Publisher[T]],
        release: Callable[[U], object],
        *,
        eager: bool = True,
    ) -> "Mono[T]":
        """A Mono over a resource, which is released at its end or when it is cancelled.

            acquire() -> --1| -> release()

        >>> Mono.using(lambda: [1], lambda box: Mono.just(box[0]), list.clear).block()
        1

        Reactor: Mono.using
        """
        return lib.Mono(resourceful(acquire, use, release, eager=eager))
