import pytest

from labcore.kernel import UsageError
from labcore.lanes import Stage, conform
from servers.calibration_service import SCENARIO
from servers.calibration_service.app import rounds_of, work


def test_the_injected_difference_is_exact():
    assert [rounds_of(lane, 2_000) for lane in ("exact", "tenth", "hundredth")] == [
        2_000,
        2_200,
        2_020,
    ]


def test_every_round_counts():
    assert len({work(rounds) for rounds in range(50)}) == 50


def test_an_unknown_lane_is_refused():
    with pytest.raises(UsageError, match="no lane 'half'"):
        rounds_of("half", 100)


@pytest.mark.parametrize("lane", [lane.name for lane in SCENARIO.lanes])
def test_every_lane_keeps_the_contract(lane: str):
    with Stage(SCENARIO, SCENARIO.values()) as stage, stage.deploy(lane) as deployment:
        results = conform(deployment.site(), SCENARIO.checks)
    assert [result.detail for result in results if not result.passed] == []
