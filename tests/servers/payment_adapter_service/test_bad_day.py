import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from servers.payment_adapter_service.acquirer import Settings
from servers.payment_adapter_service.bad_day import bad_day, scene_at

USUAL = Settings(seed=7, latency_ms=5)


def test_a_seed_is_a_day():
    assert bad_day(1, USUAL) == bad_day(1, USUAL)
    assert bad_day(1, USUAL) != bad_day(2, USUAL)


@given(st.integers())
def test_a_day_has_each_trouble_once_with_calm_between_and_at_both_ends(seed: int):
    scenes = bad_day(seed, USUAL)
    calm, troubles = scenes[::2], scenes[1::2]
    assert {scene.settings for scene in calm} == {USUAL}
    assert len({scene.name for scene in troubles}) == len(troubles) == 11
    assert all(scene.settings != USUAL for scene in troubles)
    assert scenes[0].at_s == 0
    assert all(one.at_s < other.at_s for one, other in itertools.pairwise(scenes))
    assert 150 < scenes[-1].at_s < 500


def test_a_fast_day_is_the_same_day_sooner():
    slow, fast = bad_day(3, USUAL), bad_day(3, USUAL, speed=10)
    assert [each.at_s for each in fast] == pytest.approx([each.at_s / 10 for each in slow])
    assert [each.name for each in fast] == [each.name for each in slow]
    (flapping,) = (each for each in fast if each.name == "flapping")
    assert flapping.settings.outages[1][0] == pytest.approx(0.2)
    (hangs,) = (each for each in fast if each.name == "hangs")
    assert hangs in [each for each in fast if 0.05 <= each.settings.hang_share <= 0.2]


def test_the_usual_seed_and_cards_stay():
    assert {scene.settings.seed for scene in bad_day(1, USUAL)} == {7}


def test_a_scene_lasts_until_the_next_and_the_last_for_ever():
    scenes = bad_day(1, USUAL)
    assert scene_at(scenes, 0.0) is scenes[0]
    assert scene_at(scenes, scenes[1].at_s) is scenes[1]
    assert scene_at(scenes, scenes[2].at_s - 1e-6) is scenes[1]
    assert scene_at(scenes, 1e9) is scenes[-1]


@pytest.mark.parametrize("speed", [0, -1, 1_001, float("nan")])
def test_a_speed_that_cannot_be_is_refused(speed: float):
    with pytest.raises(UsageError, match=r"speed=.* is out of range: above 0, to 1000"):
        bad_day(1, USUAL, speed=speed)
