"""using_when: a stream over a resource whose opening and closing wait themselves."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import IDLE, MISSING, Down, Feed, Source
from labcore.reactive.doors import last_value
from labcore.reactive.errors import StreamTimeoutError, blame, check_positive
from labcore.reactive.hop import placed
from labcore.reactive.operators.create import as_source
from labcore.reactive.operators.relay import Relay
from labcore.reactive.operators.transform import taking
from labcore.reactive.spec import Publisher

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux, Mono

T = TypeVar("T")
R = TypeVar("R")
Work = Publisher[Any] | Awaitable[Any]

CLEAN_UP_S = 10.0  # how long a clean-up may take; it cannot be cancelled from outside


class CleanUps:
    """The three ways to give a resource back."""

    __slots__ = ("limit_s", "on_cancel", "on_complete", "on_error")

    def __init__(
        self,
        on_complete: Callable[[Any], Work],
        on_error: Callable[[Any, Exception], Work] | None,
        on_cancel: Callable[[Any], Work] | None,
        limit_s: float,
    ) -> None:
        self.on_complete = on_complete
        self.on_error = on_error or (lambda resource, _: on_complete(resource))
        self.on_cancel = on_cancel or on_complete
        self.limit_s = limit_s

    async def run(self, make: Callable[..., Work], *about: Any) -> None:
        """Run one of them to its end, whatever is cancelled around it.

        Raises:
            StreamTimeoutError: When it takes longer than `limit_s`.
            Exception: What the clean-up itself failed with, its place noted.
        """
        try:
            with anyio.CancelScope(shield=True), anyio.fail_after(self.limit_s):
                await last_value(as_source(make(*about)), default=None)
        except TimeoutError as late:
            raise StreamTimeoutError(
                f"the clean-up of using_when() took longer than {self.limit_s} s and was cancelled"
            ) from late
        except Exception as fault:  # noqa: BLE001 - passed on with its place noted
            raise blame(fault, "using_when", make) from fault.__cause__


class Using(Relay):
    """First the resource, then the stream over it, then the clean-up, then the end."""

    __slots__ = ("clean_ups", "ending", "held", "resource", "single", "use")

    def __init__(
        self, down: Down[Any], use: Callable[[Any], Work], clean_ups: CleanUps, *, single: bool
    ) -> None:
        super().__init__(down)
        self.use = placed(use, down)
        self.clean_ups = clean_ups
        self.single = single
        self.resource: Any = MISSING
        self.ending = False  # from the end or the cancel on, the clean-up belongs to its task
        self.held: Any = MISSING  # a Mono's value, kept until the clean-up has succeeded

    def offer(self, value: Any) -> bool:
        """The resource first, then values."""
        if self.resource is MISSING:
            self._acquire(value)
            return True
        if self.single:
            self.held = value
            return True
        return super().offer(value)

    def _acquire(self, resource: Any) -> None:
        self.resource = resource
        up, self.up = self.up, IDLE
        up.cancel()
        try:
            source = as_source(self.use(resource))
        except Exception as fault:  # noqa: BLE001 - the factory's error is the signal
            self.fail(blame(fault, "using_when", self.use))
            return
        self.switch(Source(taking(source, 1)) if self.single else source)

    def complete(self) -> None:
        """Without a resource there is nothing to clean up."""
        if not self.live:
            return
        if self.resource is MISSING:
            super().complete()
        else:
            self._end(None)

    def fail(self, error: Exception) -> None:
        """The stream failed, or the resource could not be had."""
        if not self.live:
            self.scope.drop_error(error)
        elif self.resource is MISSING:
            super().fail(error)
        else:
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        resource, self.resource = self.resource, None
        self.ending, self.up = True, IDLE

        async def clean_up() -> None:
            try:
                if error is None:
                    await self.clean_ups.run(self.clean_ups.on_complete, resource)
                else:
                    await self.clean_ups.run(self.clean_ups.on_error, resource, error)
            except Exception as fault:  # noqa: BLE001 - it replaces the end, which it names
                fault.__context__ = error or fault.__context__
                self._close(fault)
            else:
                self._close(error)

        self.scope.spawn(clean_up)

    def _close(self, error: Exception | None) -> None:
        held, self.held = self.held, MISSING
        if not self.live:
            if error is not None:
                self.scope.drop_error(error)
            return
        if error is not None:
            super().fail(error)
            return
        if held is not MISSING:
            super().offer(held)
        super().complete()

    def ended(self) -> None:
        """Cancelled: clean up, unless that has begun already."""
        resource, self.resource = self.resource, None
        if resource is MISSING or self.ending:
            return
        self.ending = True
        scope, clean_ups = self.scope, self.clean_ups

        async def clean_up() -> None:
            try:
                await clean_ups.run(clean_ups.on_cancel, resource)
            except Exception as fault:  # noqa: BLE001 - a cancelled stream tells nobody else
                scope.drop_error(fault)

        scope.spawn(clean_up)


def using(resource: Work, use: Callable[[Any], Work], clean_ups: CleanUps, *, single: bool) -> Feed:
    """The feed of using_when."""
    check_positive("limit_s", clean_ups.limit_s)
    source = as_source(resource)

    def feed(down: Down[Any]) -> None:
        Using(down, use, clean_ups, single=single).begin(source)

    return feed


class FluxResource(Source[T]):
    """A Flux over a resource."""

    __slots__ = ()

    @staticmethod
    def using_when(
        resource: Publisher[R] | Awaitable[R],
        use: Callable[[R], Publisher[T]],
        on_complete: Callable[[R], Work],
        *,
        on_error: Callable[[R, Exception], Work] | None = None,
        on_cancel: Callable[[R], Work] | None = None,
        limit_s: float = CLEAN_UP_S,
    ) -> "Flux[T]":
        """A stream over a resource that is opened and given back asynchronously: a transaction.

            open() -> --1--2--|  -> commit()            on_complete
            open() -> --1--X     -> rollback(X)         on_error
            open() -> --1-- cancel -> rollback()        on_cancel

        The end goes down when the clean-up has succeeded; a clean-up that fails becomes the failure of
        the stream, the first error its `__context__`. After a cancel nobody waits for it but the scope,
        and its error goes to the hooks. No clean-up can be cancelled from outside, but each is given up
        after `limit_s` seconds. Without `on_error` or `on_cancel`, `on_complete` serves for all.

        >>> log = []
        >>> def note(word): return lambda *_: Mono.from_callable(lambda: log.append(word))
        >>> Flux.using_when(Mono.just([1, 2]), Flux.from_iterable, note("commit"),
        ...                 on_error=note("rollback")).collect_list().block(), log
        ([1, 2], ['commit'])

        Difference: the resource is opened at the first request, not at the subscription.

        Reactor: Flux.usingWhen
        """
        clean_ups = CleanUps(on_complete, on_error, on_cancel, limit_s)
        return lib.Flux(using(resource, use, clean_ups, single=False))


class MonoResource(Source[T]):
    """A Mono over a resource."""

    __slots__ = ()

    @staticmethod
    def using_when(
        resource: Publisher[R] | Awaitable[R],
        use: Callable[[R], Publisher[T] | Awaitable[T]],
        on_complete: Callable[[R], Work],
        *,
        on_error: Callable[[R, Exception], Work] | None = None,
        on_cancel: Callable[[R], Work] | None = None,
        limit_s: float = CLEAN_UP_S,
    ) -> "Mono[T]":
        """One value over a resource; as Flux.using_when, but the value waits for the clean-up, too.

            open() -> --1| -> commit() -> --1|

        >>> Mono.using_when(Mono.just([3]), lambda box: Mono.just(box[0]),
        ...                 lambda box: Mono.from_callable(box.clear)).block()
        3

        Difference: the resource is opened at the first request, not at the subscription.

        Reactor: Mono.usingWhen
        """
        clean_ups = CleanUps(on_complete, on_error, on_cancel, limit_s)
        return lib.Mono(using(resource, use, clean_ups, single=True))
