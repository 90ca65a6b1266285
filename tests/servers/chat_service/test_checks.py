"""The chat's conformance checks, the same list over every lane: real processes, real PostgreSQL."""

from collections.abc import Iterator

import pytest

from labcore.lanes import Check, DatabaseServer, Deployment, Stage
from servers.chat_service import SCENARIO
from servers.chat_service.checks import CHECKS

LANES = [lane.name for lane in SCENARIO.lanes]
VALUES = {"heartbeat_s": 0.5, "presence_s": 0.8, "workers": 16, "db_pool": 4, "recent": 20}


@pytest.fixture(scope="module")
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    """The chat, prepared once."""
    with Stage(SCENARIO, VALUES, server=database_server) as prepared:
        yield prepared


@pytest.fixture(scope="module", params=LANES)
def deployment(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """One lane at a time, with a fresh database."""
    with stage.deploy(request.param) as deployed:
        yield deployed


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_lane_keeps_the_contract(deployment: Deployment, check: Check):
    check(deployment.site())


def test_the_scenario_announces_every_check():
    assert SCENARIO.checks == CHECKS
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__doc__ for check in CHECKS)
