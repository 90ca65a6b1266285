"""One order through each lane of the checkout: where it waited for the payment, and on whom."""

from collections.abc import Iterator

import httpx
import pytest

from labcore.kernel import Trace, UsageError
from labcore.lanes import DatabaseServer, Request, Stage, scenario, trace_request

PAYMENT_MS = 40.0

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    values = {"payment_ms": PAYMENT_MS, "payment_sigma": 0.0}
    with Stage(scenario("checkout"), values, server=database_server) as stage:
        yield stage


@pytest.fixture(scope="module")
def orders(stage: Stage) -> list[Request]:
    workload = stage.scenario.workload
    return list(workload.requests(seed=1, count=2, parameters=stage.values))


def payment_of(trace: Trace) -> tuple[str, str, float]:
    (wait,) = [span for span in trace.spans if span.what == "POST /payments"]
    assert wait.kind == "waiting"
    return wait.who, wait.on, (wait.end_ns - wait.start_ns) / 1e6


@pytest.mark.parametrize("lane", ["reactive", "structured", "threads", "virtual"])
def test_the_wait_for_the_payment_is_seen_in_every_lane(
    lane: str, stage: Stage, orders: list[Request]
):
    with stage.deploy(lane, tracing=True) as deployment:
        traces = [trace_request(deployment, order) for order in orders]
    trace = traces[-1]
    assert (trace.name, trace.dropped) == (lane, 0)
    who, on, took_ms = payment_of(trace)
    assert took_ms >= PAYMENT_MS
    assert on == (who if lane == "threads" else "")  # only there an OS thread is held meanwhile
    if lane == "virtual":
        assert who.startswith("order-")
    statements = [span for span in trace.spans if span.what.startswith(("INSERT", "UPDATE"))]
    assert {span.kind for span in statements} == {"waiting"}


def test_a_lane_that_does_not_trace_says_so_and_has_no_route(stage: Stage, orders: list[Request]):
    with stage.deploy("reactive") as deployment:
        assert httpx.get(f"{deployment.url}/-/trace").status_code == 404
        with pytest.raises(UsageError, match="tracing=True"):
            trace_request(deployment, orders[0])


def test_requests_that_did_not_ask_are_not_traced(stage: Stage, orders: list[Request]):
    order = orders[0]
    with stage.deploy("structured", tracing=True) as deployment:
        url = f"{deployment.url}{order.path}"
        httpx.post(url, headers=list(order.headers), content=order.body)
        assert httpx.get(f"{deployment.url}/-/trace").json() == {"traces": []}
