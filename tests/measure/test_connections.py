import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from labcore.kernel import UsageError
from labcore.lanes import Request
from labcore.measure import arrivals
from labcore.measure.connections import Limits, status_ended_by_close
from labcore.measure.load import OpenLoad
from labcore.measure.target import Target

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
Serving = Callable[[Answer], Awaitable[str]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def loaded(
    url: str, *, count: int = 6, limits: Limits | None = None, sample_bodies: int = 0
) -> OpenLoad:
    """A finished load of `count` recorded requests, 5 ms apart."""
    target = Target.resolve(url)
    load = OpenLoad(
        target,
        [target.encode(Request("GET", "/"))],
        arrivals=arrivals.constant(200, count / 200),
        limits=limits or Limits(connections=2, timeout_s=5),
        sample_bodies=sample_bodies,
    )
    async with load:
        await load.run()
    return load


def ends(load: OpenLoad) -> set[tuple[int, str]]:
    """The distinct (status, failure) of the recorded requests."""
    window = slice(load.first_recorded, load.recorder.issued)
    return set(zip(load.recorder.status[window], load.recorder.outcome[window], strict=True))


async def a_turn_of_the_loop() -> None:
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    await turned.wait()


def writes(*pieces: bytes) -> Answer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await a_turn_of_the_loop()

    return answer


def writes_and_closes(*pieces: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writes(*pieces)(reader, writer)
        writer.close()

    return answer


@pytest.mark.parametrize(
    "pieces",
    [
        (OK,),
        (OK[:20], OK[20:50], OK[50:]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", OK),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,),
    ],
    ids=["whole", "in pieces", "chunked", "continue", "early hints"],
)
async def test_a_kept_connection_carries_the_next_request(
    serving: Serving, pieces: tuple[bytes, ...]
):
    load = await loaded(await serving(writes(*pieces)))
    assert ends(load) == {(200, "")}
    assert load.pool.opened == 2


async def test_statuses_are_kept_as_they_are(serving: Serving):
    load = await loaded(
        await serving(writes(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"))
    )
    assert ends(load) == {(503, "")}


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nas long as it lasts",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
    ],
    ids=["close", "1.0 with length", "1.0 until the end", "1.1 until the end"],
)
async def test_a_closed_connection_is_replaced(serving: Serving, response: bytes):
    load = await loaded(await serving(writes_and_closes(response)))
    assert ends(load) == {(200, "")}
    assert load.pool.opened == 8  # two to warm, one for each of the six


async def test_an_answer_cut_short_is_a_reset(serving: Serving):
    load = await loaded(await serving(writes_and_closes(OK[:-1])))
    assert ends(load) == {(0, "reset")}


async def test_no_answer_and_a_close_is_a_reset(serving: Serving):
    load = await loaded(await serving(writes_and_closes()))
    assert ends(load) == {(0, "reset")}


async def test_what_is_no_http_is_malformed(serving: Serving):
    load = await loaded(await serving(writes(b"SSH-2.0-OpenSSH_9.9\r\n")))
    assert ends(load) == {(0, "malformed")}


async def test_an_unasked_answer_ends_its_connection_and_no_request(serving: Serving):
    load = await loaded(await serving(writes(OK + OK)))
    window = load.recorder.outcome[load.first_recorded : load.recorder.issued]
    assert len(window) == 6
    assert set(window) <= {"", "malformed", "reset"}


async def test_bodies_are_kept_on_request_only(serving: Serving):
    url = await serving(
        writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    )
    assert (await loaded(url)).bodies == {}
    sampled = await loaded(url, count=10, sample_bodies=5)
    first = sampled.first_recorded
    assert sampled.bodies == {first + number: b"ok" for number in (0, 2, 4, 6, 8)}


async def test_the_pool_grows_to_its_cap_and_the_rest_waits_its_turn(serving: Serving):
    """Nobody is answered before every request is due, so all but four must wait."""
    under_way = 0
    most = 0
    warm = asyncio.Event()
    all_due = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if warm.is_set():
            await all_due.wait()
        under_way -= 1
        writer.write(OK)

    def look() -> None:
        if load.recorder.issued == len(load.recorder.done):
            all_due.set()
        else:
            loop.call_later(0.005, look)

    target = Target.resolve(await serving(answer))
    load = OpenLoad(
        target,
        [target.encode(Request("GET", "/"))],
        arrivals=arrivals.constant(1_000, 0.02),
        limits=Limits(connections=2, max_connections=4, timeout_s=5),
    )
    async with load:
        warm.set()
        look()
        await load.run()
    assert ends(load) == {(200, "")}
    assert most == 4
    assert load.pool.opened == 4
    connections = load.recorder.connection[load.first_recorded :]
    assert set(connections) == {0, 1, 2, 3}
    after_the_first_answer = min(load.recorder.done[load.first_recorded :])
    late = [sent >= after_the_first_answer for sent in load.recorder.sent[load.first_recorded :]]
    assert late.count(True) == 16


async def test_more_waiting_than_allowed_is_overload(serving: Serving):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if warmed.is_set():
            await reader.read()
        writer.write(OK)

    warmed = asyncio.Event()
    target = Target.resolve(await serving(silent))
    load = OpenLoad(
        target,
        [target.encode(Request("GET", "/"))],
        arrivals=arrivals.constant(1_000, 0.01),
        limits=Limits(connections=1, max_connections=1, max_waiting=3, timeout_s=0.3),
    )
    async with load:
        warmed.set()
        await load.run()
    outcomes = load.recorder.outcome[load.first_recorded :]
    assert sorted(outcomes) == ["overload"] * 6 + ["timeout"] * 4


async def test_a_connection_that_stays_idle_is_closed_from_here(serving: Serving):
    target = Target.resolve(await serving(writes(OK)))
    load = OpenLoad(
        target,
        [target.encode(Request("GET", "/"))],
        arrivals=arrivals.trace([0.0, 0.4]),
        limits=Limits(connections=3, keep_alive_s=0.1),
    )
    async with load:
        await load.run()
    assert ends(load) == {(200, "")}
    assert load.pool.opened == 4  # the second request found no connection left


async def test_a_server_that_went_away_refuses(serving: Serving):
    """The listening socket closes after the warm-up, and each answer ends its connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(handle, sock=listener)
    target = Target.resolve(url)
    load = OpenLoad(
        target,
        [target.encode(Request("GET", "/"))],
        arrivals=arrivals.constant(100, 0.05),
        limits=Limits(connections=1),
    )
    async with load:
        server.close()
        await server.wait_closed()
        await load.run()
    assert ends(load) == {(0, "refused")}
    assert load.pool.failures == 5
    assert all(load.recorder.done[load.first_recorded :])


def test_bounds_that_leave_no_room_are_refused():
    with pytest.raises(UsageError, match="connections=9"):
        Limits(connections=9, max_connections=8)
    with pytest.raises(UsageError, match="timeout_s=0"):
        Limits(timeout_s=0)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", 200),
        (b"HTTP/1.1 404 Gone\r\nX: y\r\n\r\nsome text", 404),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 0),
        (b"", 0),
    ],
)
def test_only_an_answer_without_a_length_ends_with_its_connection(head: bytes, status: int):
    assert status_ended_by_close(head) == status
