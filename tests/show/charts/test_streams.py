import pandas as pd

from labcore.show.charts.streams import connection_lives, deliveries, staleness


def rows(**ids: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"subscriber": name, "at_s": place / 10, "id": one, "kind": "departure"}
            for name, all_ in ids.items()
            for place, one in enumerate(all_)
        ]
    )


def test_the_title_names_who_got_everything_once():
    table = rows(now=[1, 3], start=[1, 1, 2, 3], last=[1, 2, 3])
    chart = deliveries(table, [(0.1, "server killed")], published=3)
    assert chart.title == "Only who came back last got every event exactly once"
    assert chart.table.rows == (("now", 1, 0), ("start", 0, 1), ("last", 0, 0))
    assert "now: 1 missing, 0 twice." in chart.alt
    assert "server killed" in chart.svg()


def test_nobody_and_everybody_have_words_of_their_own():
    assert deliveries(rows(a=[1]), [], published=2).title.startswith("No subscriber")
    assert deliveries(rows(a=[1, 2]), [], published=2).title.startswith("Every subscriber")


def test_an_announced_loss_is_no_event():
    table = pd.concat(
        [rows(a=[1, 4]), pd.DataFrame([{"subscriber": "a", "at_s": 0.2, "id": 3, "kind": "gap"}])]
    )
    assert deliveries(table, [], published=4).table.rows == (("a", 2, 0),)


def test_lives_that_end_without_a_word_are_named():
    table = pd.DataFrame(
        {
            "name": ["no token", "goodbye", "killed"],
            "open_s": [0.1, 0.1, 0.1],
            "end_s": [0.1, 0.2, 0.5],
            "number": [401, 1000, 1006],
            "connected": [False, True, True],
        }
    )
    chart = connection_lives(table)
    assert chart.title == "1 of 3 connections end without a word: killed"
    assert chart.table.rows[2] == ("killed", 1006, 0.4)
    assert "HTTP 401, never open" in chart.svg()
    assert connection_lives(table[:2]).title == "Every connection ends with a word"


def test_staleness_says_who_knows_the_stock_in_the_end():
    table = pd.DataFrame(
        {"subscriber": ["quick", "slow"], "at_s": [0.1, 0.2], "age_ms": [1.0, 900.0]}
    )
    chart = staleness(table, {"quick": 0, "slow": 3})
    assert chart.title == "In the end quick have the stock right; slow wrong"
    assert chart.table.rows[1] == ("slow", 3, 900.0)
    assert staleness(table, {"quick": 0}).title == "In the end everybody knows the stock"
    assert staleness(table, {"slow": 1}).title == "In the end nobody knows the stock"
