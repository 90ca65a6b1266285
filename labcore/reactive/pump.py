"""Pumps: one task per asynchronous source, which pulls only what has been asked for."""
# ruff: noqa: C901, PLR0915 - an operator is closures over its state: ruff adds the nested ones up

import asyncio
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

from labcore.reactive.core import Down, Feed, Link, reject
from labcore.reactive.spec import TURN, UNBOUNDED, add_demand


def pumping(open_source: Callable[[], AsyncIterable[Any]]) -> Feed:
    """The feed of an asynchronous iterable: `__anext__` is called only while there is demand.

    Cancelling ends the task; a generator is closed before the scope is left.
    """

    def feed(down: Down[Any]) -> None:
        try:
            source = open_source()
        except Exception as error:  # noqa: BLE001 - a user's factory: its error is the signal
            reject(down, error)
            return
        scope, offer = down.scope, down.offer
        demand = 0
        live = True
        idle: asyncio.Future[None] | None = None
        task: anyio.CancelScope | None = None

        def request(n: int) -> None:
            nonlocal demand, task
            if not live:
                return
            demand = add_demand(demand, n)
            if task is None:
                task = scope.spawn(pump)
            elif idle is not None and not idle.done():
                idle.set_result(None)

        def cancel() -> None:
            nonlocal live
            live = False
            if task is not None:
                task.cancel()

        def end(error: Exception | None) -> None:
            nonlocal live
            if live:
                live = False
                if error is None:
                    down.complete()
                else:
                    down.fail(error)
            elif error is not None:
                scope.drop_error(error)

        async def more() -> None:
            nonlocal idle
            idle = scope.future()
            await idle
            idle = None

        async def run() -> None:
            nonlocal demand
            turn = TURN
            async for value in source:
                if not live:
                    return
                if offer(value) and demand < UNBOUNDED:
                    demand -= 1
                if not live:
                    return  # type: ignore[unreachable]  # offer may have cancelled
                turn -= 1
                if not turn:
                    turn = TURN
                    await anyio.lowlevel.checkpoint()
                if not demand:
                    await more()

        async def pump() -> None:
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - the source's error is the signal
                await closed(source)
                end(error)
            except BaseException:
                await closed(source)
                raise
            else:
                await closed(source)
                end(None)

        down.start(Link(request, cancel))

    return feed


async def closed(source: object) -> None:
    """Close a generator, shielded: its `finally` runs before anybody goes on."""
    close = getattr(source, "aclose", None)
    if close is not None:
        with anyio.CancelScope(shield=True):
            await close()


def awaiting_one(awaitable: Awaitable[Any]) -> Feed:
    """The feed of one awaitable that is there already; left alone, a coroutine is closed."""
    return awaiting(lambda: awaitable, made=awaitable)


def awaiting(call: Callable[[], Awaitable[Any]], *, made: object = None) -> Feed:
    """The feed of one awaitable result: a task, started by the first request.

    `made` is a coroutine that exists before it is called for: cancelled earlier, it is closed.
    """

    def feed(down: Down[Any]) -> None:
        live = True
        began = False
        task: anyio.CancelScope | None = None

        def request(_: int) -> None:
            nonlocal task
            if live and task is None:
                task = down.scope.spawn(run)

        def cancel() -> None:
            nonlocal live
            live = False
            if task is not None:
                task.cancel()
            if inspect.iscoroutine(made) and not began:
                made.close()

        async def run() -> None:
            nonlocal live, began
            began = True
            try:
                value = await call()
            except Exception as error:  # noqa: BLE001 - the call's error is the signal
                if live:
                    live = False
                    down.fail(error)
                else:
                    down.scope.drop_error(error)
                return
            if live:
                down.offer(value)
            if live:
                live = False
                down.complete()

        down.start(Link(request, cancel))

    return feed
