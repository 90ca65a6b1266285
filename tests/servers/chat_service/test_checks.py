"""The chat's conformance checks, the same list over every lane: real processes, real PostgreSQL."""

import pytest

from labcore.lanes import Check, Deployment
from servers.chat_service import SCENARIO
from servers.chat_service.checks import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_lane_keeps_the_contract(deployment: Deployment, check: Check):
    check(deployment.site())


def test_the_scenario_announces_every_check():
    assert SCENARIO.checks == CHECKS
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__doc__ for check in CHECKS)
