"""Clients in Python, each in a child of its own, and the least a punctual one can be."""

import asyncio
import select
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from resource import RUSAGE_SELF, getrusage
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from labcore.cli.bench.clients.counted import Counted
from labcore.lanes import Child, ChildContext
from labcore.measure import arrivals, pacing

TARGET: Final = "labcore.cli.bench.clients.python:run"
NAP_NS: Final = 20_000  # as the driver's: for less than this it stays awake
LEAD_NS: Final = 50_000_000
RECEIVE_BYTES: Final = 65_536
Fetch = Callable[[], Awaitable[object]]


def aiohttp(url: str, *, seconds: float, connections: int, core: int) -> Counted:
    """The client of aiohttp, closed loop. Raises: PeerError when its process fails."""
    return _in_child("aiohttp", url, seconds, connections, core)


def httpx(url: str, *, seconds: float, connections: int, core: int) -> Counted:
    """The client of httpx, closed loop. Raises: PeerError when its process fails."""
    return _in_child("httpx", url, seconds, connections, core)


def bare(url: str, *, seconds: float, connections: int, core: int, rate: float) -> Counted:
    """Sleeps, sends and receives, and nothing else: what a punctual client in Python must cost.

    No parsing, no records, no limits. Raises: PeerError when its process fails.
    """
    return _in_child("bare", url, seconds, connections, core, rate=rate)


def _in_child(
    client: str, url: str, seconds: float, connections: int, core: int, *, rate: float = 0.0
) -> Counted:
    setting = {
        "client": client,
        "url": url,
        "seconds": seconds,
        "connections": connections,
        "rate": rate,
    }
    with Child(TARGET, setting, name=client, cpus=frozenset({core})) as child:
        return Counted(**child.wait_ready(seconds + 30))


def run(context: ChildContext) -> None:
    """Inside the child: the named client, on uvloop; ready with what it counted."""
    setting = dict(context.setting)
    client, rate = setting.pop("client"), setting.pop("rate")
    if client == "bare":
        counted = _bare(**setting, rate=rate)
    else:
        with asyncio.Runner(loop_factory=pacing.new_event_loop) as runner:
            counted = runner.run(_CLOSED[client](**setting))
    context.ready(**asdict(counted))


async def _aiohttp(url: str, seconds: float, connections: int) -> Counted:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def fetch() -> None:
            async with session.get(url) as response:
                await response.read()

        return await _ask_together(fetch, seconds, connections)


async def _httpx(url: str, seconds: float, connections: int) -> Counted:
    import httpx

    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        return await _ask_together(lambda: client.get(url), seconds, connections)


_CLOSED: Final[dict[str, Callable[..., Coroutine[Any, Any, Counted]]]] = {
    "aiohttp": _aiohttp,
    "httpx": _httpx,
}


async def _ask_together(fetch: Fetch, seconds: float, connections: int) -> Counted:
    """As many users as connections, each asking again at once; what they managed and what it cost."""
    await fetch()
    before, began_s, count = getrusage(RUSAGE_SELF), time.monotonic(), 0

    async def user() -> None:
        nonlocal count
        while time.monotonic() - began_s < seconds:
            await fetch()
            count += 1

    async with asyncio.TaskGroup() as users:
        for _ in range(connections):
            users.create_task(user())
    after, wall_s = getrusage(RUSAGE_SELF), time.monotonic() - began_s
    return Counted(
        count, wall_s, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    )


def _bare(url: str, seconds: float, connections: int, rate: float) -> Counted:
    parts = urlsplit(url)
    payload = f"GET / HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    poller, timer = select.epoll(), pacing.new_timer()
    poller.register(timer.fd, select.EPOLLIN)
    sockets: dict[int, socket.socket] = {}
    for _ in range(connections):
        sock = socket.create_connection((parts.hostname, parts.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        sockets[sock.fileno()] = sock
        poller.register(sock.fileno(), select.EPOLLIN)
    idle = deque(sockets.values())
    offsets = arrivals.poisson(rate, seconds, seed=0).offsets_ns
    start_ns = time.monotonic_ns() + LEAD_NS
    due = (offsets + start_ns).tolist()
    sent: list[int] = []
    count, settled, armed_ns = len(due), 0, 0
    before = getrusage(RUSAGE_SELF)
    while settled < count:
        now_ns = time.monotonic_ns()
        while len(sent) < count and idle and due[len(sent)] <= now_ns:
            idle.popleft().send(payload)
            sent.append(now_ns)
            now_ns = time.monotonic_ns()
        patience_s = -1
        if len(sent) < count:
            next_ns = due[len(sent)]
            if next_ns - now_ns < NAP_NS:
                patience_s = 0
            elif next_ns != armed_ns:
                armed_ns = next_ns
                timer.set(next_ns)
        for descriptor, _event in poller.poll(patience_s):
            if descriptor != timer.fd:
                sock = sockets[descriptor]
                sock.recv(RECEIVE_BYTES)
                settled += 1
                idle.append(sock)
    after, wall_s = getrusage(RUSAGE_SELF), (time.monotonic_ns() - start_ns) / 1e9
    late_us = np.subtract(sent, due) / 1e3
    return Counted(
        count,
        wall_s,
        after.ru_utime - before.ru_utime,
        after.ru_stime - before.ru_stime,
        float(np.percentile(late_us, 50)),
        float(np.percentile(late_us, 99)),
    )
