"""One stranger of Python, used as its own documentation shows it; prints the id of each stock event.

A program of its own that imports nothing of the project. What it is to do is the first line of its
standard input, a JSON object: `client`, `events_url`, `socket_url`, `token`, `warehouse`, `last_id`. Where a
client comes back by itself it is left to do so; where it does not, the program ends.
"""

import asyncio
import json
import sys
from typing import Any

Task = dict[str, str]


def with_httpx_sse(task: Task) -> None:
    """Never comes back, by design."""
    import httpx
    from httpx_sse import connect_sse

    with (
        httpx.Client(timeout=httpx.Timeout(5, read=None), trust_env=False) as client,
        connect_sse(client, "GET", task["events_url"], headers=headers(task)) as source,
    ):
        for event in source.iter_sse():
            if event.event == "stock":
                say(event.id)


def with_launchdarkly(task: Task) -> None:
    """Comes back by itself and sends the last id."""
    from ld_eventsource import SSEClient  # type: ignore[import-untyped]  # publishes no types
    from ld_eventsource.config import (  # type: ignore[import-untyped]  # publishes no types
        ConnectStrategy,
        ErrorStrategy,
    )

    client = SSEClient(
        ConnectStrategy.http(task["events_url"], headers=bearer(task)),
        error_strategy=ErrorStrategy.always_continue(),
        last_event_id=task["last_id"],
        initial_retry_delay=0.2,
    )
    for event in client.events:
        if event.event == "stock":
            say(event.last_event_id)


def with_websockets(task: Task) -> None:
    """Comes back by itself; the last id is ours to send."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    async def listen() -> None:
        last_id = task["last_id"]
        async for socket in connect(task["socket_url"], additional_headers=bearer(task)):
            try:
                await socket.send(resume(task, last_id))
                async for message in socket:
                    last_id = heard(message) or last_id
            except ConnectionClosed:
                continue

    asyncio.run(listen())


def with_websocket_client(task: Task) -> None:
    """Waits in its thread; never comes back here."""
    import websocket

    socket = websocket.create_connection(task["socket_url"], header=bearer(task))
    socket.send(resume(task, task["last_id"]))
    while message := socket.recv():
        heard(message)


def with_aiohttp(task: Task) -> None:
    """Never comes back by itself."""
    import aiohttp

    async def listen() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(task["socket_url"], headers=bearer(task)) as socket,
        ):
            await socket.send_str(resume(task, task["last_id"]))
            async for message in socket:
                heard(message.data)

    asyncio.run(listen())


def bearer(task: Task) -> dict[str, str]:
    """The token, where programs put it."""
    return {"Authorization": f"Bearer {task['token']}"}


def headers(task: Task) -> dict[str, str]:
    """The token and the last id."""
    return {**bearer(task), "Last-Event-ID": task["last_id"]}


def resume(task: Task, last_id: str) -> str:
    """The first message of a WebSocket's client."""
    return json.dumps({"type": "resume", "warehouses": [task["warehouse"]], "last_id": last_id})


def heard(message: Any) -> str | None:
    """The id of a stock event, said aloud."""
    document = json.loads(message)
    if "sku" not in document:
        return None
    say(str(document["id"]))
    return str(document["id"])


def say(event_id: str) -> None:
    """To whoever started us."""
    sys.stdout.write(f"{event_id}\n")
    sys.stdout.flush()


CLIENTS = {
    "httpx-sse": with_httpx_sse,
    "launchdarkly-eventsource": with_launchdarkly,
    "websockets": with_websockets,
    "websocket-client": with_websocket_client,
    "aiohttp": with_aiohttp,
}

if __name__ == "__main__":
    given: Task = json.loads(sys.stdin.readline())
    CLIENTS[given["client"]](given)
