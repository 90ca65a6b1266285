"""Hooks of the trace where lanes wait: connections, clients, queues, parks.

Clients and pools are chosen when they are built, so that with tracing off the very classes of the
libraries run; queues, parks and mounts ask `TRACING.on` first.
"""

import asyncio
import contextvars
import re
import threading
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

import greenlet
import httpx
import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from labcore.kernel import FOR_FORKS, PARKED, TRACING, Kind, current_trace, trace_in

if TYPE_CHECKING:
    from labcore.virtual.thread import VirtualThread

T = TypeVar("T")
LABEL_LETTERS: Final = 48
_NUMBERED: Final = re.compile(r"-\d+$")
_counter: Final = count(1)
_numbers: "WeakKeyDictionary[asyncio.Task[Any], int]" = WeakKeyDictionary()


def who() -> str:
    """The name of the virtual thread, task or operating system's thread that runs this code."""
    name = getattr(greenlet.getcurrent(), "name", None)  # only a virtual thread has one
    if name is not None:
        return str(name)
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs on this thread
        task = None
    return threading.current_thread().name if task is None else _name_of(task)


def _name_of(task: "asyncio.Task[Any]") -> str:
    """A name of its own: tasks of task groups are all named after their function."""
    name = task.get_name()
    if _NUMBERED.search(name):
        return name
    if task not in _numbers:
        _numbers[task] = next(_counter)
    short = name.removesuffix(".<locals>").rpartition(".")[2].strip("_")
    return f"{short} task-{_numbers[task]}"


@types.coroutine
def _steps(coro: Coroutine[Any, Any, T], what: str) -> Generator[Any, Any, T]:
    """Drive a coroutine and record each step of it as running; what lies between is not."""
    step: Callable[[Any], Any] = coro.send
    argument: Any = None
    while True:
        started_ns = time.monotonic_ns()
        try:
            yielded = step(argument)
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            _ran(what, started_ns)
        try:
            argument = yield yielded
        except GeneratorExit:
            coro.close()
            raise
        except BaseException as exc:  # noqa: BLE001 - every error belongs to the code inside
            step, argument = coro.throw, exc
        else:
            step = coro.send


def _ran(what: str, started_ns: int) -> None:
    trace = current_trace()
    if trace is not None:
        trace.add(
            what,
            who=who(),
            kind="running",
            start_ns=started_ns,
            end_ns=time.monotonic_ns(),
            on=threading.current_thread().name,
        )


async def stepped(coro: Coroutine[Any, Any, T], what: str) -> T:
    """Await the coroutine, each of its steps a running span of the trace."""
    return await _steps(coro, what)


def traced_tasks(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], **options: Any
) -> "asyncio.Task[T]":
    """A task factory for `loop.set_task_factory`: tasks that traced work starts are traced too."""
    context: contextvars.Context | None = options.get("context")
    trace = current_trace() if context is None else trace_in(context)
    run = coro if trace is None else stepped(coro, "step")
    return asyncio.Task(run, loop=loop, **options)


@contextmanager
def _lasting(what: str, kind: Kind) -> Iterator[None]:
    """A span of the work under way; nothing for work that is not traced."""
    trace = current_trace()
    if trace is None:
        yield
        return
    name, thread = who(), threading.current_thread().name
    with trace.span(what, who=name, kind=kind, on=thread if name == thread else ""):
        yield


async def awaited(what: str, awaitable: Awaitable[T]) -> T:
    """Await it, as a wait of the trace."""
    with _lasting(what, "waiting"):
        return await awaitable


def blocking(what: str, fn: Callable[..., T]) -> Callable[..., T]:
    """The function as a wait of the trace; itself where tracing is off."""
    if not TRACING.on:
        return fn

    def waited(*args: Any) -> T:
        with _lasting(what, "waiting"):
            return fn(*args)

    return waited


def queued(fn: Callable[..., T], *, what: str, runs_on_thread: bool) -> Callable[..., T]:
    """Work that tells how long it stood in line and, on a thread of its own, how long it ran."""
    trace = current_trace()
    if trace is None:
        return fn
    since_ns = time.monotonic_ns()

    def begun(*args: Any, **kwargs: Any) -> T:
        name, now_ns = who(), time.monotonic_ns()
        trace.add(what, who=name, kind="queued", start_ns=since_ns, end_ns=now_ns)
        if not runs_on_thread:
            return fn(*args, **kwargs)
        with trace.span(_named(fn), who=name, kind="running", on=name):
            return fn(*args, **kwargs)

    return begun


class TracedFuture(Future[T]):
    """A future whose wait blocks an OS thread, and says so."""

    def result(self, timeout: float | None = None) -> T:
        """As `concurrent.futures.Future.result`."""
        with _lasting(FOR_FORKS, "waiting"):
            return super().result(timeout)


def mounted(thread: "VirtualThread") -> Callable[[], None] | None:
    """A virtual thread is mounted: its park is over. What to call when it is unmounted again."""
    trace = trace_in(thread.gr_context)
    if trace is None:
        return None
    began_ns = time.monotonic_ns()
    name, carrier = thread.name, threading.current_thread().name
    if thread.parked_ns:
        trace.add(PARKED, who=name, kind="waiting", start_ns=thread.parked_ns, end_ns=began_ns)

    def unmounted() -> None:
        thread.parked_ns = time.monotonic_ns()
        trace.add(
            "mounted",
            who=name,
            kind="running",
            start_ns=began_ns,
            end_ns=thread.parked_ns,
            on=carrier,
        )

    return unmounted


def _named(fn: Callable[..., Any]) -> str:
    while isinstance(fn, partial):
        fn = fn.func
    return getattr(fn, "__name__", type(fn).__name__).strip("_")


def _statement(query: Any) -> str:
    """The beginning of a statement on one line: enough to know which it is."""
    text = " ".join(str(query).split())
    return text if len(text) <= LABEL_LETTERS else f"{text[: LABEL_LETTERS - 1]}…"


class _TracedConnection(psycopg.Connection[Any]):
    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with _lasting(_statement(query), "waiting"):
            return super().execute(query, *args, **kwargs)


class _TracedAsyncConnection(psycopg.AsyncConnection[Any]):
    async def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with _lasting(_statement(query), "waiting"):
            return await super().execute(query, *args, **kwargs)


class _TracedPool(ConnectionPool[Any]):
    def getconn(self, timeout: float | None = None) -> Any:
        with _lasting("database connection", "queued"):
            return super().getconn(timeout)


class _TracedAsyncPool(AsyncConnectionPool[Any]):
    async def getconn(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - psycopg's signature
        with _lasting("database connection", "queued"):
            return await super().getconn(timeout)


class _TracedClient(httpx.Client):
    def send(self, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        with _lasting(_exchange(request), "waiting"):
            return super().send(request, **kwargs)


class _TracedAsyncClient(httpx.AsyncClient):
    async def send(self, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        with _lasting(_exchange(request), "waiting"):
            return await super().send(request, **kwargs)


def _exchange(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def http_client(**options: Any) -> httpx.Client:
    """A client of httpx, or the one that tells of its waits."""
    return (_TracedClient if TRACING.on else httpx.Client)(**options)


def async_client(**options: Any) -> httpx.AsyncClient:
    """As `http_client`, awaited."""
    return (_TracedAsyncClient if TRACING.on else httpx.AsyncClient)(**options)


def pool(url: str, **options: Any) -> ConnectionPool:
    """A pool of psycopg, or the one that tells of its waits."""
    if not TRACING.on:
        return ConnectionPool(url, **options)
    traced = _TracedPool(url, connection_class=_TracedConnection, **options)
    return cast("ConnectionPool", traced)


def async_pool(url: str, **options: Any) -> AsyncConnectionPool:
    """As `pool`, awaited."""
    if not TRACING.on:
        return AsyncConnectionPool(url, **options)
    traced = _TracedAsyncPool(url, connection_class=_TracedAsyncConnection, **options)
    return cast("AsyncConnectionPool", traced)
