from typing import Any

import pytest

from labcore.kernel import UsageError
from labcore.lanes import ServiceSetting
from servers.partner_webhook_dispatcher import SCENARIO
from servers.partner_webhook_dispatcher.seeding import RECEIVER
from servers.partner_webhook_dispatcher.wiring import OPENERS, desk_of, lab_of


def _setting(lane: str = "virtual", **values: Any) -> ServiceSetting:
    return ServiceSetting(
        lane=lane,
        parameters=SCENARIO.values(values),
        database_url="postgresql://nobody@localhost/none",
        peers={RECEIVER: "http://127.0.0.1:8123"},
    )


def test_every_lane_of_the_scenario_can_be_opened_and_no_other():
    assert set(OPENERS) == {lane.name for lane in SCENARIO.lanes}
    with pytest.raises(UsageError, match="no lane"):
        desk_of(_setting("thread"))


def test_a_lease_that_could_end_before_its_attempt_is_refused():
    with pytest.raises(UsageError, match="lease_s=2 would end before"):
        desk_of(_setting(lease_s=2.0, timeout_ms=2_000.0))


def test_a_lane_of_threads_holds_no_more_than_it_has_threads():
    for lane, most in (("threads", 8), ("virtual", 100)):
        desk = desk_of(_setting(lane, concurrency=100, workers=8))
        assert desk.gauges()["deliveries_most"] == most


def test_only_the_receiver_of_this_run_may_be_private():
    assert list(lab_of(_setting()).receivers) == [("127.0.0.1", 8123)]
