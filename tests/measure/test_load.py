import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Request
from labcore.measure import arrivals
from labcore.measure.arrivals import Arrivals
from labcore.measure.connections import Limits
from labcore.measure.load import ClosedLoad, Load, OpenLoad
from labcore.measure.target import Target

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
Serving = Callable[[Answer], Awaitable[str]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SMALL = Limits(connections=2, timeout_s=5)


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


class Deaf:
    """Answers as long as it is not `deaf`."""

    def __init__(self) -> None:
        self.deaf = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer, or listen until the connection ends."""
        if self.deaf:
            await reader.read()
        else:
            writer.write(OK)


def open_load(
    url: str, schedule: Arrivals, *, warmup: Arrivals | None = None, limits: Limits = SMALL
) -> OpenLoad:
    target = Target.resolve(url)
    payloads = [target.encode(Request("GET", f"/{number}")) for number in range(1_000)]
    return OpenLoad(target, payloads, arrivals=schedule, warmup=warmup, limits=limits)


def window(load: Load, column: str) -> list[int]:
    values: list[int] = getattr(load.recorder, column)
    return values[load.first_recorded : load.recorder.issued]


async def test_every_arrival_is_sent_at_its_offset_and_stamped_in_order(serving: Serving):
    schedule = arrivals.poisson(400, 0.25, seed=4)
    load = open_load(await serving(answers), schedule)
    async with load:
        await load.run()
    intended = window(load, "intended")
    assert [at - intended[0] for at in intended] == (
        schedule.offsets_ns - schedule.offsets_ns[0]
    ).tolist()
    stamps = zip(
        *(window(load, c) for c in ("intended", "woke", "sent", "first_byte", "done")), strict=True
    )
    assert all(list(row) == sorted(row) for row in stamps)
    assert set(window(load, "status")) == {200}
    assert load.in_flight == 0


async def test_requests_go_out_in_their_order_warming_first():
    seen: list[bytes] = []
    server = await asyncio.start_server(
        lambda reader, writer: note(reader, writer, seen), "127.0.0.1", 0
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    load = open_load(url, arrivals.constant(100, 0.05), warmup=arrivals.constant(100, 0.03))
    async with load:
        await load.run()
    server.close()
    await server.wait_closed()
    assert sorted(seen[:2]) == [b"GET /0 HTTP/1.1", b"GET /1 HTTP/1.1"]
    assert seen[2:] == [b"GET /%d HTTP/1.1" % number for number in range(2, 10)]
    assert load.first_recorded == 2 + 3
    assert len(window(load, "done")) == 5


async def note(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[bytes]
) -> None:
    while head := await reader.readline():
        if head.startswith(b"GET"):
            seen.append(head.strip())
            writer.write(OK)
    writer.close()


async def test_the_recorded_window_is_announced_once_after_the_warmup(serving: Serving):
    announced: list[int] = []
    load = open_load(
        await serving(answers), arrivals.constant(100, 0.1), warmup=arrivals.constant(100, 0.1)
    )
    async with load:
        await load.run(lambda: announced.append(load.recorder.issued))
    assert len(announced) == 1
    assert load.first_recorded - 2 <= announced[0] <= load.first_recorded + 2


async def test_a_slow_server_is_sent_what_it_is_owed(serving: Serving):
    """Open loop: everything is under way although nothing has been answered."""
    deaf = Deaf()
    limits = Limits(connections=1, max_connections=64, timeout_s=0.4)
    load = open_load(await serving(deaf), arrivals.constant(200, 0.1), limits=limits)
    async with load:
        deaf.deaf = True
        await load.run()
    assert len(window(load, "sent")) == 20
    assert all(window(load, "sent"))
    assert set(load.recorder.outcome[load.first_recorded :]) == {"timeout"}


async def test_a_timeout_counts_from_the_intended_start_and_has_a_time(serving: Serving):
    deaf = Deaf()
    limits = Limits(connections=1, max_connections=1, timeout_s=0.2)
    load = open_load(await serving(deaf), arrivals.constant(100, 0.05), limits=limits)
    async with load:
        deaf.deaf = True
        await load.run()
    lasted = [
        done - intended
        for done, intended in zip(window(load, "done"), window(load, "intended"), strict=True)
    ]
    assert len(lasted) == 5
    assert min(lasted) >= 200_000_000
    assert window(load, "status") == [0] * 5
    # One connection for five requests that are never answered: each takes it down with it.
    assert sum(number >= 0 for number in window(load, "connection")) >= 1


async def test_a_stop_ends_at_once_and_keeps_what_was_under_way_as_unfinished(serving: Serving):
    deaf = Deaf()
    load = open_load(await serving(deaf), arrivals.constant(100, 60))
    loop = asyncio.get_running_loop()

    def stop_when_under_way() -> None:
        if load.in_flight >= 5:
            load.stop()
            load.stop()
        else:
            loop.call_later(0.005, stop_when_under_way)

    async with load:
        deaf.deaf = True
        stop_when_under_way()
        await load.run()
    outcomes = load.recorder.outcome[load.first_recorded : load.recorder.issued]
    assert len(outcomes) == 5
    assert set(outcomes) == {"unfinished"}
    assert all(window(load, "done"))


async def test_a_stop_before_the_start_sends_nothing(serving: Serving):
    load = open_load(await serving(answers), arrivals.constant(100, 60))
    async with load:
        load.stop()
        await load.run()
    assert window(load, "done") == []


async def test_a_stop_while_connections_are_warming_is_obeyed(serving: Serving):
    deaf = Deaf()
    deaf.deaf = True
    load = open_load(await serving(deaf), arrivals.constant(100, 60))
    asyncio.get_running_loop().call_later(0.05, load.stop)
    async with load:
        await load.run()
    assert window(load, "done") == []


async def test_an_empty_schedule_ends_at_once(serving: Serving):
    seldom = arrivals.poisson(0.001, 0.1, seed=1)
    assert len(seldom) == 0
    load = open_load(await serving(answers), seldom)
    async with load:
        await load.run()
    assert window(load, "done") == []


async def test_nobody_listening_is_said_before_the_clock_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PeerError, match=f"no connection to http://127.0.0.1:{port}: 2 attempts"):
        async with open_load(f"http://127.0.0.1:{port}", arrivals.constant(1, 1)):
            pass


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_a_load_leaves_no_descriptor_and_no_task(serving: Serving):
    url = await serving(Deaf())
    before = descriptors()
    tasks = asyncio.all_tasks()
    async with open_load(url, arrivals.constant(200, 0.05)) as load:
        await load.run()
    remaining = {task for task in asyncio.all_tasks() - tasks if "handle" not in repr(task)}
    assert remaining == set()
    # The server, in this process too, may not have seen the end of its two connections yet.
    assert len(descriptors() - before) <= 2


async def test_a_closed_load_never_has_more_under_way_than_users(serving: Serving):
    under_way = 0
    most = 0

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        turned = asyncio.Event()
        asyncio.get_running_loop().call_later(0.002, turned.set)
        await turned.wait()
        under_way -= 1
        writer.write(OK)

    target = Target.resolve(await serving(answer))
    payloads = [target.encode(Request("GET", "/"))]
    load = ClosedLoad(target, payloads, concurrency=3, duration_s=0.2, limits=SMALL)
    async with load:
        await load.run()
    assert most == 3
    assert len(window(load, "done")) > 10
    assert window(load, "intended") == window(load, "woke")
    assert set(window(load, "status")) == {200}


async def test_users_who_think_ask_less_often(serving: Serving):
    target = Target.resolve(await serving(answers))
    payloads = [target.encode(Request("GET", "/"))]
    load = ClosedLoad(target, payloads, concurrency=2, duration_s=0.3, think_s=0.1, limits=SMALL)
    async with load:
        await load.run()
    assert 2 <= len(window(load, "done")) <= 6


async def test_a_closed_load_forgets_its_warmup(serving: Serving):
    target = Target.resolve(await serving(answers))
    payloads = [target.encode(Request("GET", "/"))]
    load = ClosedLoad(target, payloads, concurrency=2, duration_s=0.1, warmup_s=0.1, limits=SMALL)
    announced: list[int] = []
    async with load:
        await load.run(lambda: announced.append(load.recorder.issued))
    assert announced == [load.first_recorded]
    assert load.first_recorded > 2


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"concurrency": 9_999}, {"concurrency": 1, "think_s": -1}]
)
async def test_a_closed_load_that_cannot_be_is_refused(wrong: dict[str, int]):
    target = Target.resolve("http://127.0.0.1:1")
    with pytest.raises(UsageError, match="give"):
        ClosedLoad(target, [b"x"], duration_s=1, limits=SMALL, **wrong)


async def test_a_load_needs_a_request():
    with pytest.raises(UsageError, match="at least one"):
        OpenLoad(
            Target.resolve("http://127.0.0.1:1"),
            [],
            arrivals=arrivals.constant(1, 1),
            limits=SMALL,
        )
