"""Two worlds, one face: what a lane's blocking source may wait for."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from labcore.kernel import PeerError
from labcore.virtual import (
    BlockingExecutor,
    PlatformThreadExecutor,
    VirtualThreadExecutor,
    World,
    current_thread,
    platform_world,
    virtual_world,
)

Opened = tuple[BlockingExecutor, World]


@asynccontextmanager
async def opened(kind: str, url: str, **options: float) -> AsyncIterator[Opened]:
    if kind == "platform":
        async with platform_world(
            database_url=url, pool_size=1, fork_workers=2, **options
        ) as world:
            with PlatformThreadExecutor(1, name="request") as executor:
                yield executor, world
    else:
        async with virtual_world(database_url=url, pool_size=1, **options) as world:
            yield VirtualThreadExecutor(name="request"), world


@pytest.fixture(params=["platform", "virtual"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(kind: str, database_url: str) -> Callable[[Callable[[World], Any]], Any]:
    async def go(work: Callable[[World], Any]) -> Any:
        async with opened(kind, database_url) as (executor, world):
            return await executor.call(work, world)

    return go


async def test_sleeping_takes_the_worlds_own_time(run: Any):
    def work(world: World) -> float:
        began_s = world.now_s()
        world.sleep(0.01)
        return world.now_s() - began_s

    assert await run(work) >= 0.01


async def test_forks_run_beside_their_owner_on_its_kind_of_thread(run: Any, kind: str):
    def where() -> tuple[int, bool]:
        return threading.get_ident(), current_thread() is None

    def work(world: World) -> list[tuple[int, bool]]:
        with world.scope() as scope:
            fork = scope.fork(where)
            scope.join()
        return [where(), fork.result()]

    [owner, fork] = await run(work)
    assert (owner[1], fork[1]) == (kind == "platform", kind == "platform")
    assert (owner[0] != fork[0]) == (kind == "platform")


async def test_a_closed_world_leaves_no_thread(run: Any):
    before = set(threading.enumerate())

    def work(world: World) -> None:
        with world.scope(limit=2) as scope:
            for _ in range(4):
                scope.fork(world.database.fetch_one, "SELECT 1")
            scope.join()

    await run(work)
    assert {thread.name for thread in set(threading.enumerate()) - before} == set()


async def test_a_world_that_cannot_open_leaves_no_thread(kind: str):
    before = set(threading.enumerate())
    with pytest.raises(PeerError, match="is the server up"):
        async with opened(kind, "postgresql://nobody@127.0.0.1:1/none", pool_timeout_s=0.1):
            pass
    assert set(threading.enumerate()) <= before
