"""The WebSocket server of the lab on connections' lives: it echoes, pings, and ends connections by every rule.

Frames are those of `websockets`. The server tells its parent how each connection ended on its side.
"""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin

from labcore.lanes import ChildContext

TARGET: Final = f"{__name__}:run"
ORIGIN: Final = "https://board.example"
FLOOD: Final = "/flood"
MOST_MESSAGE_BYTES: Final = 64 * 1024
PING_S: Final = 0.3
MOST_QUEUED: Final = 64  # messages of a subscriber that does not read
TOKEN_ENDED: Final = 4001
TRY_LATER: Final = 1013
_PIECE: Final = "x" * (MOST_MESSAGE_BYTES // 2)


def run(context: ChildContext) -> None:
    """Serve until asked to stop; the setting holds `tokens`, by token the seconds it lasts."""
    asyncio.run(_serve(context))


async def _serve(context: ChildContext) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    context.on_stop(lambda: loop.call_soon_threadsafe(stop.set))
    tokens: dict[str, float] = dict(context.setting["tokens"])
    server: Server = await serve(
        partial(_handle, context, tokens),
        "127.0.0.1",
        0,
        origins=[Origin(ORIGIN)],
        process_request=partial(_admit, tokens),
        max_size=MOST_MESSAGE_BYTES,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        close_timeout=PING_S,
        compression=None,
    )
    port = server.sockets[0].getsockname()[1]
    context.ready(url=f"ws://127.0.0.1:{port}")
    await stop.wait()
    server.close()  # says 1001 to everybody who is still there
    await server.wait_closed()


def _admit(
    tokens: dict[str, float], connection: ServerConnection, request: Request
) -> Response | None:
    if _token(request) in tokens:
        return None
    return connection.respond(HTTPStatus.UNAUTHORIZED, "say who you are\n")


async def _handle(
    context: ChildContext, tokens: dict[str, float], connection: ServerConnection
) -> None:
    request = connection.request
    assert request is not None
    try:
        async with asyncio.timeout(tokens[_token(request)]):
            await (_flood if request.path == FLOOD else _echo)(connection)
    except TimeoutError:
        await connection.close(TOKEN_ENDED, "token ended")
    except ConnectionClosed:
        pass  # how it ended is told below
    await connection.wait_closed()
    context.emit("ended", {"path": request.path, **_ending(connection)})


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def _flood(connection: ServerConnection) -> None:
    """More than anybody reads: what does not fit into the queue ends the subscriber, not the server."""
    queue: asyncio.Queue[str] = asyncio.Queue(MOST_QUEUED)

    async def send() -> None:
        while True:
            await connection.send(await queue.get())

    async with asyncio.TaskGroup() as group:
        sender = group.create_task(send())
        while not queue.full():
            queue.put_nowait(_PIECE)
            await asyncio.sleep(0)
        sender.cancel()
    await connection.close(TRY_LATER, "too slow")


def _token(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _ending(connection: ServerConnection) -> dict[str, Any]:
    protocol = connection.protocol
    sent, heard = protocol.close_sent, protocol.close_rcvd
    return {
        "sent": None if sent is None else sent.code,
        "heard": None if heard is None else heard.code,
    }
