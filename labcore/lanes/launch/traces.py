"""Tracing chosen requests of a hosted service, by header, and handing the traces out.

A service that was started with tracing allowed traces every request that carries `X-Labcore-Trace`, and
answers `GET /-/trace` with the last traces. Hosted services listen on loopback only. A measured server
is never started so: this application is then not there.
"""

import json
from collections import deque
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from labcore.kernel import Trace, traced
from labcore.virtual import stepped

HEADER: Final = "X-Labcore-Trace"
ROUTE: Final = "/-/trace"
KEPT: Final = 16  # traces, the oldest go first
_HEADER: Final = HEADER.lower().encode()


class TracedApp:
    """The ASGI application around a service that may be traced. Runs on one event loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._traces: deque[Trace] = deque(maxlen=KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass through, trace, or tell."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == ROUTE:
            await self._tell(send)
            return
        name = dict(scope["headers"]).get(_HEADER)
        if name is None:
            await self._app(scope, receive, send)
            return
        trace = Trace(name.decode("latin-1"))
        try:
            with traced(trace):
                what = f"{scope['method']} {scope['path']}"
                await stepped(self._serve(scope, receive, send), what)
        finally:
            self._traces.append(trace)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _tell(self, send: Send) -> None:
        body = json.dumps({"traces": [trace.as_json() for trace in self._traces]}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
