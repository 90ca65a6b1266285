"""The same facts over every lane, and that each of them can fail."""

from dataclasses import replace

import pytest

from labcore.lanes import DatabaseServer, Site, Stage, conform
from servers.partner_webhook_dispatcher import SCENARIO
from servers.partner_webhook_dispatcher.seeding import RECEIVER

QUICK = {"lease_s": 1.5, "timeout_ms": 800.0, "partners": 2, "db_pool": 4}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("lane", [lane.name for lane in SCENARIO.lanes])
def test_every_lane_keeps_the_contract(database_server: DatabaseServer, lane: str):
    with (
        Stage(SCENARIO, QUICK, server=database_server) as stage,
        stage.deploy(lane) as deployed,
    ):
        found = conform(deployed.site(), SCENARIO.checks)
    assert {each.name: each.detail for each in found if not each.passed} == {}


def test_a_service_that_is_no_dispatcher_fails_every_check(database_server: DatabaseServer):
    """The receiver in its place: it answers, and knows nothing of events."""
    with (
        Stage(SCENARIO, QUICK, server=database_server) as stage,
        stage.deploy("structured") as deployed,
    ):
        site = deployed.site()
        wrong = replace(site, url=site.peers[RECEIVER], restart=lambda: site.peers[RECEIVER])
        found = conform(wrong, SCENARIO.checks)
    assert [each.name for each in found if each.passed or not each.applicable] == []


def test_where_the_receiver_cannot_be_reached_nothing_is_shown():
    found = conform(Site("http://127.0.0.1:9", {}, {"bulkheads": False}), SCENARIO.checks)
    assert not any(each.passed or each.applicable for each in found)
