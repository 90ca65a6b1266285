"""The host of every service: one uvicorn, the same for all lanes and peers.

It decides all that surrounds a service and must not differ between lanes: the loop (uvloop), the
parser (httptools), the socket, the deadline for slow clients, the samples, the order of a stop. What
the service does is its lane's business.
"""

import asyncio
import contextlib
import gc
import json
import os
import socket
from collections.abc import Awaitable, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labcore.kernel import TRACING, LabError, PeerError, UsageError
from labcore.lanes.contract import Service, ServiceSetting
from labcore.lanes.launch.context import ChildContext
from labcore.lanes.launch.guard import DEADLINE_S, guarded
from labcore.lanes.launch.process import Child, EventHandler
from labcore.lanes.launch.sampler import Sampler
from labcore.lanes.launch.sockets import WEBSOCKETS
from labcore.lanes.launch.target import load_target

TARGET = f"{__name__}:run"
BACKLOG = 2048  # a burst of connections must not be refused by the listening queue
KEEP_ALIVE_S = 75  # a driver's idle connections outlive a pause between two runs
STOP_PATIENCE_S = 3  # for answers under way, below the grace of the child


def hosted(
    target: str,
    setting: ServiceSetting,
    *,
    name: str,
    on_event: EventHandler | None = None,
    cpus: frozenset[int] | None = None,
    log_dir: Path | None = None,
    deadline_s: float = DEADLINE_S,
    tracing: bool = False,
) -> Child:
    """A child, not yet started, that hosts the service built by `target` (`module:function`).

    `wait_ready` then returns its `url` and `pid`; `on_event` gets `sample` events ten times a second.

    Args:
        target: a `build(ServiceSetting) -> Service`.
        setting: what the service is told.
        name: for the log and for messages.
        on_event: called with kind and payload of every event.
        cpus: the cores it may use.
        log_dir: where its log stays; without it the log goes with the child.
        deadline_s: how long a client may take for the head of a request (see `guard`).
        tracing: trace the requests that ask for it (see `traces`); never while measuring.

    Raises: UsageError for a deadline that is not positive.
    """
    if not deadline_s > 0:
        raise UsageError(f"deadline_s={deadline_s} must be above 0 seconds")
    wire = {
        "target": target,
        "lane": setting.lane,
        "parameters": dict(setting.parameters),
        "database_url": setting.database_url,
        "peers": dict(setting.peers),
        "deadline_s": deadline_s,
        "tracing": tracing,
    }
    return Child(TARGET, wire, name=name, on_event=on_event, cpus=cpus, log_dir=log_dir)


def run(context: ChildContext) -> None:
    """Host the service of the setting until asked to stop; ready with `url` and `pid`.

    Emits `sample` events; the command `sample` asks for one at once.

    Raises: UsageError when the target builds no `Service`; PeerError when its start-up fails.
    """
    TRACING.on = bool(context.setting["tracing"])  # before anything is built that has hooks
    service = build_service(context.setting)
    with contextlib.closing(listening_socket()) as listener:
        try:
            uvloop.run(_serve(context, service, listener))
        except* LabError as group:  # crosses to the parent as itself
            raise group.exceptions[0] from None


def build_service(setting: Mapping[str, Any]) -> Service:
    """Call the lane's `build`. Raises: UsageError when it returns something else than a Service."""
    service = load_target(setting["target"])(
        ServiceSetting(
            lane=setting["lane"],
            parameters=setting["parameters"],
            database_url=setting["database_url"],
            peers=setting["peers"],
        )
    )
    if not isinstance(service, Service):
        raise UsageError(f"{setting['target']} returned {type(service).__name__}, not a Service")
    return service


def listening_socket() -> socket.socket:
    """A socket on a free loopback port.

    The protocol number is named on purpose: with the default 0 asyncio leaves Nagle's algorithm on
    for accepted connections, and every keep-alive answer then takes 44 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    return listener


class Surroundings:
    """The ASGI application around a service: answers `/stats`, and `/healthz` where it does not."""

    def __init__(self, app: ASGIApp, sampler: Sampler) -> None:
        self._app = app
        self._sampler = sampler

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass through; a plain function, so that a request pays no further coroutine."""
        if scope["type"] == "http":
            if scope["path"] == "/stats":
                return self._stats(send)
            if scope["path"] == "/healthz":
                return self._health(scope, receive, send)
        return self._app(scope, receive, send)

    async def _stats(self, send: Send) -> None:
        await _send_json(send, self._sampler.latest)

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:
        unknown = False

        async def watch(message: Message) -> None:
            nonlocal unknown
            if message["type"] == "http.response.start" and message["status"] == 404:
                unknown = True
            if not unknown:
                await send(message)

        await self._app(scope, receive, watch)
        if unknown:
            await _send_json(send, {"status": "ok"})


class HostedServer(uvicorn.Server):
    """uvicorn that says when it started and leaves the signals to the child's watchdog."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start. Raises: PeerError when the service's lifespan fails; its log tells why."""
        try:
            await super().startup(sockets)
        except SystemExit as exc:
            raise PeerError("the service failed in its lifespan start-up; see its log") from exc
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield

    def gauges(self) -> dict[str, float]:
        """What the HTTP layer knows of every service."""
        state = self.server_state
        return {"connections": len(state.connections), "in_flight": len(state.tasks)}


async def _serve(context: ChildContext, service: Service, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    context.on_stop(lambda: loop.call_soon_threadsafe(stop.set))
    sampler = Sampler(
        lambda: {**server.gauges(), **service.gauges()},
        emit=lambda sample: context.offer("sample", sample),
    )
    app: ASGIApp = service.app
    if TRACING.on:
        from labcore.lanes.launch.traces import TracedApp  # with it come all clients of the lanes
        from labcore.virtual import traced_tasks

        app = TracedApp(app)
        loop.set_task_factory(traced_tasks)  # type: ignore[arg-type]  # typeshed also wants generators
    server = HostedServer(_config(Surroundings(app, sampler), context.setting))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        await server.serving.wait()
        sampler.start()
        context.on_command(lambda kind, _: _obey(kind, loop, sampler))
        gc.collect()
        gc.freeze()  # in every lane alike: collections walk what requests make, not what was imported
        host, port = listener.getsockname()
        context.ready(url=f"http://{host}:{port}", pid=os.getpid())
        await stop.wait()
        await service.end_streams()  # uvicorn waits for open streams and never tells them
        server.should_exit = True
    sampler.stop()


def _config(app: Surroundings, setting: Mapping[str, Any]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=guarded(setting["deadline_s"]),
        lifespan="on",
        log_level="warning",
        access_log=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_PATIENCE_S,
        **WEBSOCKETS,
    )


def _obey(kind: str, loop: asyncio.AbstractEventLoop, sampler: Sampler) -> None:
    if kind != "sample":
        raise UsageError(f"a hosted service knows the command 'sample', not {kind!r}")
    loop.call_soon_threadsafe(sampler.take)


async def _send_json(send: Send, value: Mapping[str, Any]) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
