import pytest

from labcore.kernel import UsageError
from labcore.learn.stream_labs import Crowd, fall_behind


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_the_quick_one_loses_nothing_and_conflation_ends_with_the_right_board():
    result = await fall_behind(Crowd(duration_s=2.0, slow_kib_per_s=300.0))
    counts = result.counts
    assert (result.mistakes["quick"], result.mistakes["slow (conflate)"]) == (0, 0)
    assert counts["disconnected: slow (disconnect)"] == 1
    assert counts["disconnected: slow (conflate)"] == counts["disconnected: quick"] == 0
    assert (result.rows.subscriber == "quick").sum() == result.published == 800
    assert (result.rows.subscriber == "slow (conflate)").sum() < 800
    assert result.hub["conflated_total"] > 0
    assert result.hub["dropped_total"] > 0
    assert "<table" in result._repr_html_()


@pytest.mark.parametrize(
    ("fields", "words"), [({"rate_per_s": 0.0}, "rate_per_s=0"), ({"skus": 40}, "skus=40")]
)
def test_an_impossible_crowd_is_refused(fields: dict[str, float], words: str):
    with pytest.raises(UsageError, match=words):
        Crowd(**fields)  # type: ignore[arg-type]  # skus is whole in both
