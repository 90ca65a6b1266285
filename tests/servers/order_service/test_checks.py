"""The checkout's conformance checks, the same list over every lane: real processes, real PostgreSQL."""

from collections.abc import Iterator

import pytest

from labcore.lanes import Check, DatabaseServer, Deployment, Stage
from servers.order_service import SCENARIO
from servers.order_service.checks import CHECKS

LANES = [lane.name for lane in SCENARIO.lanes]
VALUES = {
    "payment_ms": 5.0,
    "in_flight_limit": 96,  # above the 64 buyers at once, below what a test likes to open
    "body_timeout_ms": 1_000.0,
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


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_lane_keeps_the_contract(deployment: Deployment, check: Check):
    check(deployment.site())


def test_the_scenario_announces_every_check():
    assert SCENARIO.checks == CHECKS
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__doc__ for check in CHECKS)
