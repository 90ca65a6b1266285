"""uvicorn's WebSocket engines, by Autobahn's cases, by CPU, and by what compression costs them."""

import asyncio
import json
import os
import socket
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, Literal

import pandas as pd
import psutil
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect

from labcore.lanes import Child, ChildContext

SUMMARY = "WebSocket engines: Autobahn's 301 cases, CPU of an echo, cost of compression"

TARGET: Final = f"{__name__}:serve"
JUDGE: Final = f"{__name__}:judge"
Engine = Literal["websockets-sansio", "wsproto", "websockets"]
ENGINES: Final[tuple[Engine, ...]] = ("websockets-sansio", "wsproto", "websockets")
CORE: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
LIMITS: Final = "9.*"
PASSED: Final = frozenset({"OK", "NON-STRICT", "INFORMATIONAL"})
MOST_BYTES: Final = 32 * 1024 * 1024  # section 9 sends 16 MiB
READY_S: Final = 30.0
JUDGED_S: Final = 600.0
ROUNDS: Final = 3


def run(*, quick: bool) -> pd.DataFrame:
    """One row an engine and compression; medians over interleaved rounds.

    `failed` names the cases that did not pass (compression off, as in the product). `cpu_us` is what a message costs the server, received and
    sent back; `wire_bytes` what it is on the way back, of `text_bytes`; `kb_per_connection` the growth of the server's
    memory. Not gated on: NON-STRICT cases, which vary with timing.
    """
    connections, messages = (50, 200) if quick else (100, 300)
    cases = CORE if quick else (*CORE, LIMITS)
    judged = {engine: conformance(engine, cases) for engine in ENGINES}
    rows = [
        {"engine": engine, "deflate": deflate, **_echoed(engine, deflate, connections, messages)}
        for _ in range(1 if quick else ROUNDS)
        for engine in ENGINES
        for deflate in (False, True)
    ]
    table = pd.DataFrame(rows).groupby(["engine", "deflate"], sort=False).median().reset_index()
    verdicts = pd.DataFrame([{"engine": each, **judged[each]} for each in ENGINES])
    return verdicts.merge(table.round(1), on="engine")


def conformance(engine: Engine, cases: Sequence[str]) -> dict[str, Any]:
    """Counts of Autobahn's words over these cases, and the names of those that failed."""
    setting = {"engine": engine, "deflate": False}
    began_s = time.monotonic()
    with Child(TARGET, setting, name=f"echo {engine}") as server:
        port = server.wait_ready(READY_S)["port"]
        results = judged(f"ws://127.0.0.1:{port}/", cases)
    words = Counter(results.values())
    return {
        "cases": len(results),
        "ok": words["OK"],
        "non_strict": words["NON-STRICT"],
        "informational": words["INFORMATIONAL"],
        "failed": " ".join(case for case, word in results.items() if word not in PASSED),
        "cases_s": round(time.monotonic() - began_s, 1),
    }


def judged(url: str, cases: Sequence[str]) -> dict[str, str]:
    """Autobahn's word for each of these cases against the echo at that URL; blocks until all have run.

    Raises: PeerError when the judge fails, for example because there is no kosoku.
    """
    # In a process of its own: kosoku shadows `pkg_resources` in the one that runs it.
    with Child(JUDGE, {"url": url, "cases": list(cases)}, name="autobahn") as child:
        return dict(child.wait_ready(JUDGED_S)["words"])


def judge(context: ChildContext) -> None:
    """Run the cases of the setting; ready with `words`."""
    results = asyncio.run(_fuzzed(context.setting["url"], context.setting["cases"]))
    context.ready(words={each.case_id: _word(each) for each in results})


def _word(result: Any) -> str:
    """The verdict; a close that spoils a case which went well is named instead of it."""
    verdict: str = result.behavior.value
    if result.passed or verdict not in PASSED:
        return verdict
    return f"close: {result.behavior_close.value}"


async def _fuzzed(url: str, cases: Sequence[str]) -> Sequence[Any]:
    from kosoku import FailureError, run_fuzzingclient

    try:
        return await run_fuzzingclient(url, cases=list(cases))
    except FailureError as exc:
        return exc.results


class _Counted(ClientConnection):
    """A client that counts what comes in."""

    wire_bytes = 0

    def data_received(self, data: bytes) -> None:
        self.wire_bytes += len(data)
        super().data_received(data)


def _echoed(engine: Engine, deflate: bool, connections: int, messages: int) -> dict[str, float]:
    setting = {"engine": engine, "deflate": deflate}
    with Child(TARGET, setting, name=f"echo {engine}") as server:
        port = server.wait_ready(READY_S)["port"]
        url = f"ws://127.0.0.1:{port}/"
        return asyncio.run(_measured(psutil.Process(server.pid), url, connections, messages))


async def _measured(
    server: psutil.Process, url: str, connections: int, messages: int
) -> dict[str, float]:
    before_kb = server.memory_info().rss / 1024
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                connect(url, create_connection=_Counted, proxy=None, ping_interval=None)
            )
            for _ in range(connections)
        ]
        wired = [client for client in clients if isinstance(client, _Counted)]
        await asyncio.gather(*(_round_trips(client, 2) for client in clients))  # dictionaries exist
        grown_kb = server.memory_info().rss / 1024 - before_kb
        before_bytes = sum(client.wire_bytes for client in wired)
        before, began_s = server.cpu_times(), time.monotonic()
        await asyncio.gather(*(_round_trips(client, messages) for client in clients))
        after, ended_s = server.cpu_times(), time.monotonic()
        wire = sum(client.wire_bytes for client in wired) - before_bytes
    total = connections * messages
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "cpu_us": cpu_s / total * 1e6,
        "messages_per_s": total / (ended_s - began_s),
        "text_bytes": statistics.mean(len(_text(number)) for number in range(messages)),
        "wire_bytes": wire / total,
        "kb_per_connection": grown_kb / connections,
    }


async def _round_trips(client: ClientConnection, count: int) -> None:
    for number in range(count):
        await client.send(_text(number))
        await client.recv()


def _text(number: int) -> str:
    """A stock event as the inventory sends it."""
    document = {
        "id": number, "sku": f"SKU-{number * 7919 % 1000:05}", "warehouse": "north",
        "quantity": number * 31 % 500, "delta": -1, "published_ns": 1_700_000_000_000_000_000 + number * 7_919_013,
    }  # fmt: skip
    return json.dumps(document, separators=(",", ":"))


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send every message back before the next is read: text as text, bytes as bytes."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        content = {
            name: message[name] for name in ("text", "bytes") if message.get(name) is not None
        }
        await send({"type": "websocket.send", **content})


def serve(context: ChildContext) -> None:
    """An echo on the engine of the setting; ready with its `port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2_048)
        config = uvicorn.Config(
            echo,
            ws=context.setting["engine"],
            ws_per_message_deflate=context.setting["deflate"],
            ws_max_size=MOST_BYTES,
            lifespan="off",
            log_level="critical",
        )
        context.ready(port=listener.getsockname()[1])
        context.on_stop(lambda: os._exit(0))  # an echo has nothing to settle
        uvicorn.Server(config).run(sockets=[listener])
