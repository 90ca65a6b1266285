"""The log on a real PostgreSQL, under writers that race, roll back and vanish."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import psycopg
import pytest

from labcore.kernel import PeerError, UsageError
from labcore.stores import AsyncDatabase, event_log
from labcore.stores.event_log import HistoryLostError, NewEvent, Span

WRITERS = 6


class ChangedMyMindError(Exception):
    """Rolls a transaction back."""


@pytest.fixture
async def log_url(database_url: str) -> str:
    """A database with an empty log."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(event_log.SCHEMA)
    return database_url


@pytest.fixture
async def database(log_url: str) -> AsyncIterator[AsyncDatabase]:
    """It, open."""
    async with AsyncDatabase(log_url, size=WRITERS + 2) as opened:
        yield opened


def some(count: int, *, by: str = "w") -> list[NewEvent]:
    return [NewEvent("tick", {"n": number}, key=by) for number in range(count)]


async def test_ids_count_from_one_in_each_stream(database: AsyncDatabase):
    assert await event_log.append(database, "a", some(2)) == 2
    assert await event_log.append(database, "b", some(1)) == 1
    assert await event_log.append(database, "a", some(3)) == 5
    assert [event.id for event in await event_log.read(database, "a", after_id=0)] == [
        1,
        2,
        3,
        4,
        5,
    ]


async def test_an_event_comes_back_as_it_was_given(database: AsyncDatabase):
    given = NewEvent("moved", {"text": "ä\u2028€", "n": None}, key="sku-1", scope="north")
    await event_log.append(database, "a", [given])
    (found,) = await event_log.read(database, "a", after_id=0)
    assert (found.kind, found.body, found.key, found.scope) == (
        given.kind,
        given.body,
        given.key,
        given.scope,
    )
    assert found.at_s > 1.7e9


async def test_a_reader_goes_on_from_any_id_and_in_pages(database: AsyncDatabase):
    await event_log.append(database, "a", some(10))
    page = await event_log.read(database, "a", after_id=4, most=3)
    assert [event.id for event in page] == [5, 6, 7]
    assert await event_log.read(database, "a", after_id=10) == []


async def test_a_rollback_leaves_no_gap(database: AsyncDatabase):
    with suppress(ChangedMyMindError):
        async with database.transaction() as transaction:
            assert await event_log.append(transaction, "a", some(5)) == 5
            raise ChangedMyMindError
    assert await event_log.append(database, "a", some(1)) == 1


async def test_racing_writers_leave_no_gap_and_readers_never_see_one(
    log_url: str, database: AsyncDatabase
):
    """A reader follows while writers append in transactions, a third of which roll back."""
    draw = random.Random(7)
    done = asyncio.Event()

    async def write(name: str) -> int:
        written = 0
        for _ in range(25):
            count = draw.randint(1, 4)
            kept = draw.random() > 0.33
            with suppress(ChangedMyMindError):
                async with database.transaction() as transaction:
                    await event_log.append(transaction, "a", some(count, by=name))
                    if not kept:
                        raise ChangedMyMindError
            written += count * kept
        return written

    async def watch(listener: event_log.Tail) -> list[int]:
        seen: list[int] = []
        async with aclosing(event_log.follow(database, listener, "a", after_id=0)) as batches:
            async for batch in batches:
                seen += [event.id for event in batch]
                if done.is_set() and seen[-1] == total[0]:
                    break
        return seen

    total = [0]
    async with event_log.tail(log_url) as listener:
        watching = asyncio.create_task(watch(listener))
        total[0] = sum(await asyncio.gather(*(write(f"w{n}") for n in range(WRITERS))))
        done.set()
        total[0] += 1
        await event_log.append(database, "a", some(1))
        seen = await watching
    assert seen == list(range(1, total[0] + 1))


async def test_an_append_wakes_those_who_watch_its_stream_only(
    log_url: str, database: AsyncDatabase
):
    async with (
        event_log.tail(log_url) as listener,
        listener.watching("a") as a_grown,
        listener.watching("b") as b_grown,
    ):
        while listener.wakes == 0:  # the first LISTEN wakes everybody
            await b_grown(0.01)
        await b_grown(0)
        await a_grown(0)
        await event_log.append(database, "a", some(1))
        assert await a_grown(10)
        assert not await b_grown(0)


async def test_a_cut_listener_is_made_anew_and_misses_nothing(
    log_url: str, database: AsyncDatabase
):
    async with event_log.tail(log_url) as listener, listener.watching("a") as grown:
        while listener.wakes == 0:
            await grown(0.01)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
        await database.fetch_all(cut)
        while listener.reconnects == 0:
            await grown(0.01)
        await grown(0)
        await event_log.append(database, "a", some(1))
        assert await grown(10)


async def test_nobody_can_listen_where_there_is_no_database():
    with pytest.raises(PeerError) as caught:
        async with event_log.tail("postgresql://ann:s3cret@127.0.0.1:1/db"):
            raise AssertionError
    assert "s3cret" not in str(caught.value)


async def test_retention_keeps_the_last_and_says_what_is_gone(database: AsyncDatabase):
    await event_log.append(database, "a", some(10))
    assert await event_log.retain(database, "a", keep=3) == 7
    assert await event_log.span(database, "a") == Span(8, 10)
    assert await event_log.retain(database, "a", keep=5) == 0
    assert await event_log.append(database, "a", some(1)) == 11
    assert await event_log.retain(database, "a", keep=0) == 4
    assert await event_log.span(database, "a") == Span(12, 11)


@pytest.mark.parametrize(("after_id", "lost"), [(6, True), (7, False), (10, False), (11, True)])
def test_history_is_lost_before_the_first_and_beyond_the_last(after_id: int, lost: bool):
    assert Span(8, 10).lost_after(after_id) is lost


@pytest.mark.parametrize("after_id", [2, 99])
async def test_a_reader_whose_place_is_gone_is_told(
    log_url: str, database: AsyncDatabase, after_id: int
):
    await event_log.append(database, "a", some(10))
    await event_log.retain(database, "a", keep=3)
    async with event_log.tail(log_url) as listener:
        batches = event_log.follow(database, listener, "a", after_id=after_id)
        with pytest.raises(HistoryLostError) as caught:
            await anext(batches)
    assert caught.value.span == Span(8, 10)


async def test_a_reader_overtaken_by_retention_is_told(log_url: str, database: AsyncDatabase):
    await event_log.append(database, "a", some(2))
    async with (
        event_log.tail(log_url) as listener,
        aclosing(event_log.follow(database, listener, "a", after_id=0)) as batches,
    ):
        assert [event.id for event in await anext(batches)] == [1, 2]
        await event_log.append(database, "a", some(5))
        await event_log.retain(database, "a", keep=2)
        with pytest.raises(HistoryLostError):
            await anext(batches)


async def test_nothing_cannot_be_appended(database: AsyncDatabase):
    with pytest.raises(UsageError, match="nothing to append"):
        await event_log.append(database, "a", [])


async def test_less_than_nothing_cannot_be_kept(database: AsyncDatabase):
    with pytest.raises(UsageError, match="keep=-1"):
        await event_log.retain(database, "a", keep=-1)
