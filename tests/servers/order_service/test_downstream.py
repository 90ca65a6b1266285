from concurrent.futures import ThreadPoolExecutor

import pytest

from servers.order_service.downstream import Downstream


def test_calls_under_way_are_counted():
    downstream = Downstream()
    with downstream, downstream:
        assert downstream.under_way == 2
    assert downstream.under_way == 0


def test_a_call_that_fails_leaves_too():
    downstream = Downstream()
    with pytest.raises(ZeroDivisionError), downstream:
        raise ZeroDivisionError
    assert downstream.under_way == 0


def test_threads_lose_no_count():
    downstream = Downstream()

    def calls() -> None:
        for _ in range(2_000):
            with downstream:
                pass

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(calls) for _ in range(8)]:
            done.result()
    assert downstream.under_way == 0
