"""Operators that look on: side effects at every signal, the context, resources, recordings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.context import Context
from labcore.reactive.core import IDLE, Down, Feed, Source, Step, reject
from labcore.reactive.errors import attempt, blame
from labcore.reactive.hop import place_of, placed
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


@dataclass(frozen=True, slots=True)
class Calls:
    """What is called at signals other than values."""

    subscribe: Quiet | None = None
    request: Callable[[int], object] | None = None
    cancel: Quiet | None = None
    error: Callable[[Exception], object] | None = None
    complete: Quiet | None = None
    lastly: Callable[[SignalType], object] | None = None

    def placed(self, down: Down[Any]) -> "Calls":
        """The same, called where the hop says."""
        names = [field.name for field in fields(self)]
        calls = {name: getattr(self, name) for name in names}
        return Calls(**{name: call and placed(call, down) for name, call in calls.items()})


class Watching(Step[Any]):
    """Passes everything on, and calls at the signals."""

    __slots__ = ("calls", "over")

    def __init__(self, down: Down[Any], calls: Calls) -> None:
        super().__init__(down)
        self.calls = calls if place_of(down) is None else calls.placed(down)
        self.over = False
        self.offer = down.offer

    def end(self, kind: SignalType) -> None:
        """Over, by whichever end was first."""
        if self.over:
            return
        self.over = True
        if self.calls.lastly is not None:  # the stream is over: nobody else can be told of a fault
            attempt("do_finally", self.calls.lastly, kind, failed=self.scope.drop_error)

    def start(self, subscription: Subscription) -> None:
        """The source has accepted; a fault of the callback is the signal."""
        self.up = subscription
        call = self.calls.subscribe
        if call is None or attempt("do_on_subscribe", call, failed=self.refuse):
            self.down.start(self)

    def refuse(self, fault: Exception) -> None:
        """The callback failed before anybody had a subscription."""
        self.stop()
        reject(self.down, fault)

    def request(self, n: int) -> None:
        """Demand from below."""
        call = self.calls.request
        if call is None or self.over or attempt("do_on_request", call, n, failed=self.give_up):
            self.up.request(n)

    def give_up(self, fault: Exception) -> None:
        """The callback failed while the source is running."""
        self.stop()
        self.fail(fault)

    def cancel(self) -> None:
        """The subscriber has gone."""
        if self.calls.cancel is not None and not self.over:  # nobody else can be told of a fault
            attempt("do_on_cancel", self.calls.cancel, failed=self.scope.drop_error)
        self.stop()
        self.end(SignalType.CANCEL)

    def stop(self) -> None:
        """Stop the source."""
        up, self.up = self.up, IDLE
        up.cancel()

    def fail(self, error: Exception) -> None:
        """A failure, or what the callback made of it."""
        self.up = IDLE
        call = self.calls.error
        if call is None or attempt("do_on_error", call, error, failed=partial(self.replace, error)):
            self.down.fail(error)
        self.end(SignalType.ON_ERROR)

    def replace(self, error: Exception, fault: Exception) -> None:
        """The callback's fault goes down in place of the failure, which it names."""
        if fault is not error:
            fault.__context__ = error
        self.down.fail(fault)

    def complete(self) -> None:
        """The end; a fault of the callback is a failure."""
        call = self.calls.complete
        if call is None or attempt("do_on_complete", call, failed=self.fail):
            self.up = IDLE
            self.down.complete()
            self.end(SignalType.ON_COMPLETE)


def watching(source: Source[Any], calls: Calls) -> Feed:
    """The feed of the operators that look on at signals other than values."""

    def feed(down: "Down[Any]") -> None:
        source.feed(Watching(down, calls))

    return feed


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

    def feed(down: "Down[Any]") -> None:
        try:
            resource = placed(acquire, down)()
        except Exception as error:  # noqa: BLE001 - without a resource the stream is the failure
            reject(down, blame(error, "using", acquire))
            return
        holding = Holding(down, resource, release, eager=eager)
        try:
            source = as_source(placed(use, down)(resource))
        except Exception as error:  # noqa: BLE001 - the factory's error is the signal
            down.start(IDLE)
            holding.fail(error)
            return
        source.feed(holding)

    return feed


class Holding(Step[Any]):
    """Holds a resource until the end, or until it is cancelled."""

    __slots__ = ("eager", "release", "resource")

    def __init__(
        self, down: Down[Any], resource: Any, release: Callable[[Any], object], *, eager: bool
    ) -> None:
        super().__init__(down)
        self.resource = resource
        self.release: Callable[[Any], object] | None = placed(release, down)
        self.eager = eager
        self.offer = down.offer

    def give_back(self, failed: Callable[[Exception], object]) -> bool:
        """Release it, once; False when that went wrong."""
        release, self.release = self.release, None
        return release is None or attempt("using", release, self.resource, failed=failed)

    def late(self) -> None:
        """Release it when the stream is over and nobody else can be told of a fault."""
        self.give_back(self.scope.drop_error)

    def start(self, subscription: Subscription) -> None:
        """Stands between, so that a cancel is known here."""
        self.up = subscription
        self.down.start(self)

    def request(self, n: int) -> None:
        """Demand from below."""
        self.up.request(n)

    def cancel(self) -> None:
        """Stop the source, then release."""
        up, self.up = self.up, IDLE
        up.cancel()
        self.late()

    def fail(self, error: Exception) -> None:
        """A failure; a fault of the release replaces it and names it."""
        self.up = IDLE
        if not self.eager or self.give_back(partial(self.replace, error)):
            self.down.fail(error)
            self.late()

    def replace(self, error: Exception, fault: Exception) -> None:
        """The fault of the release goes down in place of the failure, which it names."""
        fault.__context__ = error
        self.down.fail(fault)

    def complete(self) -> None:
        """The end; a fault of the release replaces it."""
        self.up = IDLE
        if not self.eager or self.give_back(self.down.fail):
            self.down.complete()
            self.late()


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
        return self.like(watching(self, Calls(error=action)))

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
        return self.like(watching(self, Calls(complete=action)))

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
        return self.like(watching(self, Calls(complete=action, error=lambda _: action())))

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
        return self.like(watching(self, Calls(subscribe=action)))

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
        return self.like(watching(self, Calls(request=action)))

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
        return self.like(watching(self, Calls(cancel=action)))

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
        return self.like(watching(self, Calls(lastly=action)))

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

        def feed(down: "Down[Any]") -> None:
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
