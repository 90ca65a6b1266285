"""Flux and Mono: immutable descriptions of streams, with Reactor's operators in snake case.

The operators live by family in `operators/`; here are the two types and their doors.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from labcore.reactive.doors import block, last_value, streaming
from labcore.reactive.operators.backpressure import FluxBackpressure
from labcore.reactive.operators.batch import FluxBatch
from labcore.reactive.operators.combine import FluxCombine, MonoCombine
from labcore.reactive.operators.create import FluxCreation, MonoCreation
from labcore.reactive.operators.errors import SharedErrors
from labcore.reactive.operators.lenient import SharedLenient
from labcore.reactive.operators.observe import FluxObserve, MonoObserve
from labcore.reactive.operators.resource import FluxResource, MonoResource
from labcore.reactive.operators.schedule import FluxSchedule, MonoSchedule
from labcore.reactive.operators.share import FluxShare, MonoShare
from labcore.reactive.operators.tap import SharedTap
from labcore.reactive.operators.time import FluxTime, MonoTime
from labcore.reactive.operators.transform import FluxTransform, MonoTransform
from labcore.reactive.operators.windows import FluxWindows
from labcore.reactive.spec import SMALL_BUFFER

T = TypeVar("T")


class Mono(
    MonoTransform[T],
    MonoCombine[T],
    MonoTime[T],
    MonoShare[T],
    MonoSchedule[T],
    SharedTap[T],
    SharedErrors[T],
    SharedLenient[T],
    MonoObserve[T],
    MonoResource[T],
    MonoCreation[T],
):
    """A stream of at most one value; `await mono` gives it. Reactor: Mono."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, T]:
        """Run it: the value, or None when it is empty; its error is raised.

        Cancelling the caller cancels the stream and waits for every clean-up.
        """
        result: Generator[Any, None, T] = last_value(self, default=None).__await__()
        return result

    def block(self, *, timeout_s: float | None = None) -> T:
        """Run it on a loop of its own and block this thread for the result.

        >>> Mono.just("a").block()
        'a'

        Reactor: Mono.block. Raises: UsageError inside a running loop, TimeoutError when late.
        """
        value: T = block(lambda: last_value(self, default=None), timeout_s=timeout_s)
        return value


class Flux(
    FluxTransform[T],
    FluxCombine[T],
    FluxTime[T],
    FluxBatch[T],
    FluxWindows[T],
    FluxBackpressure[T],
    FluxShare[T],
    FluxSchedule[T],
    SharedTap[T],
    SharedErrors[T],
    SharedLenient[T],
    FluxObserve[T],
    FluxResource[T],
    FluxCreation[T],
):
    """A stream of any number of values, with demand. Reactor: Flux."""

    __slots__ = ()

    def stream(
        self, *, window: int = SMALL_BUFFER
    ) -> AbstractAsyncContextManager[AsyncIterator[T]]:
        """`async with flux.stream() as items: async for item in items: …`.

        At most `window` values wait for the reader; 75 % of them are asked for again at a time.
        Leaving the block cancels the stream and waits for its clean-ups.

        Reactor: Flux.toStream, without blocking.
        """
        return streaming(self, window=window)

    def to_async_iterable(self, *, window: int = SMALL_BUFFER) -> AsyncIterable[T]:
        """For code that wants an async iterable: each iteration is a subscription of its own.

        A reader that breaks off must close the iterator (`contextlib.aclosing`), for Python does not;
        `stream()` closes by itself.

        Reactor: Flux.toIterable.
        """
        return _Iterable(self, window)

    async def for_each(self, action: Callable[[T], Awaitable[object] | object]) -> None:
        """Run the stream, one call per value; a coroutine function is awaited before the next value.

        Reactor: Flux.doOnNext with blockLast, without blocking.
        """
        async with self.stream(window=1) as items:
            async for item in items:
                result = action(item)
                if isinstance(result, Awaitable):
                    await result

    def block_last(self, *, timeout_s: float | None = None) -> T | None:
        """Run it on a loop of its own and block this thread for the last value.

        >>> Flux.just(1, 2).block_last()
        2

        Reactor: Flux.blockLast. Raises: UsageError inside a running loop, TimeoutError when late.
        """
        value: T | None = block(lambda: last_value(self, default=None), timeout_s=timeout_s)
        return value


class _Iterable(AsyncIterable[T]):
    def __init__(self, source: Flux[T], window: int) -> None:
        self._source = source
        self._window = window

    def __aiter__(self) -> AsyncIterator[T]:
        return _Iterator(self._source.stream(window=self._window))


class _Iterator(AsyncIterator[T]):
    """Opens the stream on the first `__anext__`; no task group lives inside a generator (PEP 789)."""

    def __init__(self, opening: AbstractAsyncContextManager[AsyncIterator[T]]) -> None:
        self._opening: AbstractAsyncContextManager[AsyncIterator[T]] | None = opening
        self._values: AsyncIterator[T] | None = None

    async def __anext__(self) -> T:
        if self._opening is None:
            raise StopAsyncIteration
        try:
            if self._values is None:
                self._values = await self._opening.__aenter__()
            return await anext(self._values)
        except BaseException as error:
            await self._leave(error)
            raise

    async def aclose(self) -> None:
        """Cancel the stream and wait for its clean-ups."""
        if self._values is not None:
            await self._leave(None)

    async def _leave(self, error: BaseException | None) -> None:
        opening, self._opening = self._opening, None
        if opening is not None and self._values is not None:
            if error is None or isinstance(error, StopAsyncIteration):
                await opening.__aexit__(None, None, None)
            else:
                await opening.__aexit__(type(error), error, None)
