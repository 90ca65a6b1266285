import pytest

from labcore.kernel import UsageError
from labcore.learn.stream_labs import nine_lives, transitions


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_each_life_ends_with_the_number_that_its_story_deserves():
    lives = await nine_lives(token_s=0.2)
    assert lives.counts == {
        "no token": 401,
        "a foreign page": 403,
        "goodbye": 1000,
        "the token ends": 4001,
        "a message too big": 1009,
        "too slow a reader": 1013,
        "the network falls silent": 1006,
        "the server leaves": 1001,
        "the server is killed": 1006,
    }
    by_name = {life.name: life for life in lives.lives}
    assert by_name["goodbye"].server == "sent 1000, heard 1000"
    assert by_name["the network falls silent"].server == "sent 1011, heard nothing"
    assert by_name["the server is killed"].server == "is dead"
    assert by_name["the token ends"].end_s >= 0.2
    assert "101 Switching Protocols" in lives.wire
    assert lives.wire.endswith("88 02 03 e8")  # an empty goodbye: close, two bytes, 1000
    assert "<table" in lives._repr_html_()
    assert list(lives.rows.connected) == [False, False] + [True] * 7


async def test_a_token_for_ever_is_refused():
    with pytest.raises(UsageError, match="token_s=60"):
        await nine_lives(token_s=60)


def test_the_table_of_states_leads_from_connecting_to_closed():
    table = transitions()
    assert {"CONNECTING", "OPEN", "CLOSING"} == set(table.state)
    assert table[table.event == "opened"].next.tolist() == ["OPEN"]
    assert "CLOSED" in set(table.next)
