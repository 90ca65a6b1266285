"""The operators that say where functions are called; `threads.py` is their machinery."""

from typing import TYPE_CHECKING, Self, TypeVar

from labcore.reactive.core import Source
from labcore.reactive.errors import check_positive
from labcore.reactive.hop import Executor, as_scheduler
from labcore.reactive.scope import Scheduler
from labcore.reactive.spec import SMALL_BUFFER

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux, Mono

T = TypeVar("T")


class SharedSchedule(Source[T]):
    """Where the source runs, on Flux and Mono."""

    __slots__ = ()

    def subscribe_on(self, scheduler: Scheduler | Executor) -> Self:
        """Runs the source, and all that it emits at once, on the scheduler's threads.

            [blocking source] --1--2--|
              subscribe_on(threads)
            ----1--2--|

        Subscribing and requesting happen in hops: the loop's operators run on the loop, but every
        function they call meanwhile is called on the scheduler, one at a time and in order, and the
        loop goes on until it returns. That holds for whatever stands above, whichever the source
        (from_iterable, from_callable, generate, create, defer, using …), and below down to the next
        publish_on: its place does not matter, and of several the one nearest the source rules.

        What an asynchronous source emits (a coroutine, a timer, a sink) comes on the loop, and functions
        are called there. Coroutine functions always run on the loop. A shared source (share, publish,
        replay, cache) runs for all: put subscribe_on above it. Cancelling waits for a call under way.

        >>> from concurrent.futures import ThreadPoolExecutor
        >>> pool = ThreadPoolExecutor(1)
        >>> Flux.from_iterable("ab").subscribe_on(pool).collect_list().block()
        ['a', 'b']
        >>> pool.shutdown()

        Reactor: Flux.subscribeOn, Mono.subscribeOn
        """
        from labcore.reactive.operators.threads import Region, subscribed

        threads = as_scheduler(scheduler)
        stream: Self = Region(threads, brings_back=False).of(
            self.like(subscribed(self, threads)), inside=True
        )
        return stream


class FluxSchedule(SharedSchedule[T]):
    """Where what is below runs, on Flux."""

    __slots__ = ()

    def publish_on(
        self, scheduler: Scheduler | Executor, *, prefetch: int = SMALL_BUFFER
    ) -> "Flux[T]":
        """Calls the functions of everything below it, down to the next publish_on, on the scheduler.

            --1--2--|
              publish_on(threads).map(blocking).flat_map(lookup)
            ---1--2-|

        Values, errors and the end go down in hops: the operators and their state stay on the loop, but
        each function they call (those of inner streams, too) is called on the scheduler, one at a time
        and in order, and the loop goes on until it returns. `map`, `filter` and `do_on_next` in a row are
        one call. At most `prefetch` values wait above, asked for again when 75 % were taken. Cancelling
        waits for a call under way, and throws its result away.

        What reaches an operator below otherwise (delay_elements, a coroutine's result) is brought back to
        the scheduler before the next function. Not moved, as in Reactor: what demand, subscription and
        cancellation call (do_on_request, initial values), and what an inner stream emits on its own
        from a coroutine or timer. Coroutine functions, a Retry's filter, subscribers and doors stay on
        the loop. So does what is put on a static combination (`Flux.merge(a, b)`): give that a
        publish_on of its own. publish() and replay() below it are a UsageError.

        >>> from concurrent.futures import ThreadPoolExecutor
        >>> pool = ThreadPoolExecutor(1)
        >>> Flux.just(1, 2).publish_on(pool).map(lambda n: n * 2).collect_list().block()
        [2, 4]
        >>> pool.shutdown()

        Reactor: Flux.publishOn
        """
        from labcore.reactive.operators.threads import Region, bounded

        threads = as_scheduler(scheduler)
        check_positive("prefetch", prefetch)
        stream: Flux[T] = Region(threads, brings_back=True).of(
            self.like(bounded(self, threads, prefetch)), inside=True
        )
        return stream


class MonoSchedule(SharedSchedule[T]):
    """Where what is below runs, on Mono."""

    __slots__ = ()

    def publish_on(self, scheduler: Scheduler | Executor) -> "Mono[T]":
        """Calls the functions of everything below it on the scheduler; as Flux.publish_on.

            --1|
              publish_on(threads).map(blocking)
            ---1|

        >>> from concurrent.futures import ThreadPoolExecutor
        >>> pool = ThreadPoolExecutor(1)
        >>> Mono.just(1).publish_on(pool).map(lambda n: n * 2).block()
        2
        >>> pool.shutdown()

        Reactor: Mono.publishOn
        """
        from labcore.reactive.operators.threads import Region, bounded

        threads = as_scheduler(scheduler)
        stream: Mono[T] = Region(threads, brings_back=True).of(
            self.like(bounded(self, threads, 1)), inside=True
        )
        return stream
