"""Functions that run inside children of the tests, and services that a host imports."""

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from labcore.kernel import UsageError
from labcore.lanes import ChildContext, Service, ServiceSetting


def echo(context: ChildContext) -> None:
    """Ready with its setting; every command comes back as an event; says when it stops."""
    context.on_command(lambda kind, payload: context.emit(f"echo-{kind}", payload))
    context.ready(pid=os.getpid(), **context.setting)
    context.stopping.wait()
    context.emit("stopped", {"reason": context.stop_reason})


def late(context: ChildContext) -> None:
    """Asks for commands only once the parent says so through a file."""
    context.ready()
    os.open(context.setting["fifo"], os.O_RDONLY)  # opens when the parent does
    context.on_command(context.emit)
    context.stopping.wait()


def noisy(context: ChildContext) -> None:
    """Writes where events would be, from Python and below it."""
    sys.stdout.write("from Python\n")
    os.write(1, b"from below\n")
    context.ready()
    context.stopping.wait()


def broken(context: ChildContext) -> None:
    """Dies before it is ready."""
    raise ZeroDivisionError("the very reason")


def misused(context: ChildContext) -> None:
    """Ends with an error of the house."""
    raise UsageError("rate=-1 is out of range")


def mute(context: ChildContext) -> None:
    """Never says that it is ready."""
    context.stopping.wait()


def stubborn(context: ChildContext) -> None:
    """Hears the stop and goes on."""
    context.ready()
    threading.Event().wait()


def deaf(context: ChildContext) -> None:
    """Not even a signal reaches it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    context.ready()
    threading.Event().wait()


def leaves_a_thread(context: ChildContext) -> None:
    """Returns while a thread of it goes on for ever."""
    threading.Thread(target=threading.Event().wait).start()
    context.ready()


def clumsy(context: ChildContext) -> None:
    """Fails on every command."""

    def handler(kind: str, payload: object) -> None:
        raise ZeroDivisionError(f"cannot obey {kind}")

    context.on_command(handler)
    context.ready()
    context.stopping.wait()


def build(setting: ServiceSetting) -> Service:
    """A service with everything a host must care for."""
    over = anyio.Event()

    async def home(request: Request) -> Response:
        return PlainTextResponse(f"lane {setting.lane}, {len(await request.body())} bytes")

    async def stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun\n"
            await over.wait()
            yield b"ended\n"

        return StreamingResponse(parts())

    async def peers(request: Request) -> Response:
        return JSONResponse(dict(setting.peers))

    async def end_streams() -> None:
        over.set()

    routes = [
        Route("/", home, methods=["GET", "POST"]),
        Route("/stream", stream),
        Route("/peers", peers),
    ]
    return Service(
        app=Starlette(routes=routes),
        gauges=lambda: {"worker_pool_size": 4.0},
        end_streams=end_streams,
    )


def build_counter(setting: ServiceSetting) -> Service:
    """A service whose only state is a row in its database."""

    async def count(request: Request) -> Response:
        assert setting.database_url is not None
        async with await psycopg.AsyncConnection.connect(setting.database_url) as connection:
            step = setting.parameters["step"]
            statement = "UPDATE counter SET value = value + %s RETURNING value"
            row = await (await connection.execute(statement, [step])).fetchone()
        assert row is not None
        return JSONResponse({"value": row[0], "peers": dict(setting.peers)})

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "mine"})

    return Service(
        app=Starlette(routes=[Route("/count", count, methods=["POST"]), Route("/healthz", healthz)])
    )


def build_failing(setting: ServiceSetting) -> Service:
    """A service whose start-up fails."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if app.routes == []:
            raise ZeroDivisionError("no start")
        yield

    return Service(app=Starlette(lifespan=lifespan))


def build_nothing(setting: ServiceSetting) -> str:
    """Not a service."""
    return "not a service"
