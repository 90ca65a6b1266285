"""The checkout's conformance checks, the same list over every lane: real processes, real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from labcore.lanes import Check, DatabaseServer, Deployment, Stage
from servers.order_service import SCENARIO
from servers.order_service.checks import CHECKS
from servers.order_service.shopper import (
    acquirer,
    shopper_at,
    some_products,
    until,
)

LANES = [lane.name for lane in SCENARIO.lanes]
VALUES = {
    "payment_ms": 5.0,
    "max_in_flight": 80,  # with the line above the 64 buyers at once, below what a test likes to open
    "max_queue": 16,
    "body_timeout_ms": 1_000.0,
    "bad_day_speed": 60.0,
}


@pytest.fixture(scope="module")
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    """The checkout, prepared once."""
    with Stage(SCENARIO, VALUES, server=database_server) as prepared:
        yield prepared


@pytest.fixture(scope="module", params=LANES)
def deployment(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """One lane at a time, with its payment adapter and a fresh database."""
    with stage.deploy(request.param) as deployed:
        yield deployed


@pytest.mark.timeout(90)  # a bad day takes a while, and so does what it leaves to be settled
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_lane_keeps_the_contract(deployment: Deployment, check: Check):
    check(deployment.site())


def test_every_lane_tells_how_many_payments_are_under_way(deployment: Deployment):
    site = deployment.site()
    with shopper_at(site) as shopper, ThreadPoolExecutor(5) as buyers:

        def under_way() -> float:
            stats: dict[str, float] = shopper.http.get(f"{site.url}/stats").json()
            return stats["downstream_in_flight"]

        with acquirer(site, latency_ms=0, hold_ms=700):
            skus = some_products(5)
            bought = [buyers.submit(shopper.buy, [(sku, 1)]) for sku in skus]
            until(lambda: under_way() == 5, "five payments under way")
        assert {reply.result().status_code for reply in bought} == {201}
        until(lambda: under_way() == 0, "no payment under way")


def test_the_scenario_announces_every_check():
    assert SCENARIO.checks == CHECKS
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__doc__ for check in CHECKS)
