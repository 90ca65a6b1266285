import pytest

from labcore.kernel import UsageError
from labcore.learn.stream_labs import Plan, break_stream
from labcore.learn.stream_labs.coming_back import CUT, KILL

START, NOW, LAST = "from the beginning", "from now on", "from the last id"


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_only_the_last_id_gives_each_event_once_through_a_kill_and_a_cut(database_url: str):
    result = await break_stream(Plan(events=30, interval_ms=20), database_url=database_url)
    counts = result.counts
    assert (counts[f"missing: {LAST}"], counts[f"repeated: {LAST}"]) == (0, 0)
    assert counts[f"missing: {NOW}"] > 0
    assert (counts[f"missing: {START}"], counts[f"repeated: {START}"] > 0) == (0, True)
    mine = result.rows[result.rows.subscriber == LAST]
    assert list(mine.id) == list(range(1, 31))
    assert sorted(word for _, word in result.troubles) == [CUT, KILL]
    assert min(result.reconnects.values()) >= 2
    assert "> Last-Event-ID: " in result.return_ticket
    assert "<table" in result._repr_html_()


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_what_retention_took_is_announced_to_whoever_shows_an_id(database_url: str):
    result = await break_stream(
        Plan(events=20, interval_ms=20, kills=0, keep=2), database_url=database_url
    )
    told = dict(zip(result.table["subscriber"], result.table["told of a loss"], strict=True))
    assert told[LAST] >= 1
    assert told[NOW] == 0
    assert result.counts[f"missing: {LAST}"] > 0
    assert "event: gap" in result.return_ticket


def test_troubles_are_fixed_by_the_seed_and_lie_within_the_events():
    plan = Plan(events=60, kills=2, cuts=2)
    assert plan.troubles() == Plan(events=60, kills=2, cuts=2).troubles()
    assert sorted(plan.troubles().values()) == [CUT, CUT, KILL, KILL]
    assert all(0 < number < 60 for number in plan.troubles())
    assert Plan(kills=0, cuts=0).troubles() == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"events": 3}, "events=3"), ({"keep": -1}, "keep=-1"), ({"kills": 9, "cuts": 9}, "too many")],
)
def test_an_impossible_plan_is_refused(fields: dict[str, int], words: str):
    with pytest.raises(UsageError, match=words):
        Plan(**fields)
