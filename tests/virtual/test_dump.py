"""A dump shows who there is, who started whom, and where each waits."""

import asyncio
import json
from collections.abc import Iterable
from concurrent.futures import CancelledError
from contextlib import suppress

from labcore.virtual import (
    ThreadNode,
    VirtualThread,
    VirtualThreadExecutor,
    await_,
    carry,
    current_thread,
    dump_virtual_threads,
    sleep,
    start_virtual_thread,
)


def join_all(threads: Iterable[VirtualThread]) -> None:
    for thread in threads:
        thread.join()


def by_name(nodes: tuple[ThreadNode, ...] | list[ThreadNode]) -> dict[str, ThreadNode]:
    return {node.name.rpartition("-")[0]: node for node in nodes}


async def test_without_threads_there_is_nothing():
    dump = dump_virtual_threads()
    assert (len(dump), dump.roots, str(dump)) == (0, (), "0 virtual threads")


async def test_each_thread_stands_below_the_one_that_started_it():
    gate = asyncio.get_running_loop().create_future()
    executor = VirtualThreadExecutor(name="line")

    def line() -> None:
        sleep(60)

    def order() -> None:
        futures = [executor.submit(line), executor.submit(line)]
        await_(gate)
        for future in futures:
            future.interrupt()
            with suppress(CancelledError):
                future.result()

    async def answer() -> None:
        await gate

    def call() -> None:
        await_(answer())

    threads = [start_virtual_thread(order, name="order"), start_virtual_thread(call, name="call")]
    for _ in range(5):
        await asyncio.sleep(0)
    dump = dump_virtual_threads()
    roots = by_name(dump.roots)
    assert set(roots) == {"order", "call"}
    assert (roots["order"].state, roots["call"].state) == ("waiting", "awaiting")
    lines = roots["order"].children
    assert [(each.name.rpartition("-")[0], each.state) for each in lines] == [
        ("line", "sleeping")
    ] * 2
    assert lines[0].stack[0].name == "line"
    assert len(dump) == 4
    text = str(dump)
    assert "├─ line-" in text
    assert "test_dump.py" in text
    assert json.loads(json.dumps(dump.document()))["virtual_threads"] == 4
    gate.set_result(None)
    await carry(join_all, threads)
    assert len(dump_virtual_threads()) == 0


async def test_a_thread_that_asks_sees_itself_mounted_and_those_to_come_as_new():
    seen: list[dict[str, ThreadNode]] = []

    def ask() -> None:
        later = start_virtual_thread(sleep, 0, name="later")
        root = by_name(dump_virtual_threads().roots)["asking"]
        seen.append(by_name([root, *root.children]))
        later.join()

    asking = start_virtual_thread(ask, name="asking")
    await carry(join_all, [asking])
    assert current_thread() is None
    (found,) = seen
    assert (found["asking"].state, found["later"].state) == ("mounted", "new")
