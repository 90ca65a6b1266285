import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest

from labcore.kernel import UsageError
from labcore.lanes import ServiceSetting
from labcore.virtual import BlockingExecutor, PlatformThreadExecutor, VirtualThreadExecutor
from servers.order_service import SCENARIO, lane_blocking
from servers.order_service.domain import Line, NewOrder, Status
from servers.order_service.payments import ADAPTER
from servers.order_service.wiring import OPENERS, BlockingHandlers, open_lane, shop_of

VALUES = SCENARIO.values({"db_pool": 2, "workers": 2})
UNKNOWN = NewOrder("key", "print", 1, "tok", (Line("CD-0001", 2), Line("CD-99999", 1)))


def setting(lane: str, url: str | None = None) -> ServiceSetting:
    return ServiceSetting(lane, VALUES, database_url=url, peers={ADAPTER: "http://127.0.0.1:1"})


@dataclass
class Recorder:
    """An executor that remembers what it was asked to run."""

    inner: BlockingExecutor
    functions: list[Callable[..., Any]] = field(default_factory=list)

    async def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Remember and run."""
        self.functions.append(fn)
        return await self.inner.call(fn, *args)


async def ran(lane: str, url: str) -> tuple[Recorder, Status, int]:
    """Place and find under a lane: what was run, how the order ended, the stock afterwards."""
    chosen = setting(lane, url)
    async with open_lane(chosen, shop_of(chosen)) as opened:
        assert isinstance(opened.handlers, BlockingHandlers)
        recorder = Recorder(opened.handlers.executor)
        handlers = replace(opened.handlers, executor=recorder)  # type: ignore[arg-type]  # it only calls
        order = await handlers.place(replace(UNKNOWN, idempotency_key=lane))
        assert await handlers.find_order(order.id) == order
        product = await handlers.find_product("CD-0001")
        assert product is not None
        return recorder, order.status, product.stock


async def test_threads_and_virtual_threads_run_the_very_same_functions(shop_url: str):
    threads, *ended = await ran("threads", shop_url)
    virtual, *ended_too = await ran("virtual", shop_url)
    assert isinstance(threads.inner, PlatformThreadExecutor)
    assert isinstance(virtual.inner, VirtualThreadExecutor)
    names = ("place_order", "find_order", "find_product")
    expected = [getattr(lane_blocking, name) for name in names]
    assert [id(fn) for fn in threads.functions] == [id(fn) for fn in expected]
    assert [id(fn) for fn in virtual.functions] == [id(fn) for fn in expected]
    assert ended == ended_too == [Status.REJECTED, 100]


@pytest.mark.parametrize("lane", list(OPENERS))
async def test_every_lane_tells_how_full_its_database_pool_is(lane: str, shop_url: str):
    chosen = setting(lane, shop_url)
    async with open_lane(chosen, shop_of(chosen)) as opened:
        assert (await opened.handlers.place(UNKNOWN)).status is Status.REJECTED
        assert opened.gauges()["db_pool_size"] == 2


async def test_forks_in_line_for_a_thread_count_as_waiting_for_a_connection(shop_url: str):
    chosen = setting("threads", shop_url)
    async with open_lane(chosen, shop_of(chosen)) as opened:
        assert isinstance(opened.handlers, BlockingHandlers)
        may_end = threading.Event()
        forks = opened.handlers.world.forks
        begun = [forks.submit(may_end.wait) for _ in range(5)]
        while opened.gauges()["db_pool_waiting"] != 3:
            await anyio.lowlevel.checkpoint()
        may_end.set()
        assert all(fork.result() for fork in begun)


def test_every_announced_lane_can_be_opened():
    assert {lane.name for lane in SCENARIO.lanes} == set(OPENERS)


def test_an_unknown_lane_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="no lane 'fibers'; there are: reactive, threads"):
        shop_of(setting("fibers"))


def test_a_missing_payment_adapter_is_refused():
    with pytest.raises(UsageError, match="needs the peer 'payment-adapter'"):
        shop_of(ServiceSetting("threads", VALUES))


async def test_a_missing_database_is_refused():
    chosen = setting("threads")
    with pytest.raises(UsageError, match="needs a database URL"):
        async with open_lane(chosen, shop_of(chosen)):
            pass
