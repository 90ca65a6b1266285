import pandas as pd
import pytest

from labcore.show.charts.storm import back_after_s, retry_storm


def table(answered: list[float], *, attempts: int = 100) -> pd.DataFrame:
    rows = range(len(answered))
    return pd.DataFrame(
        {
            "second": rows,
            "calls": [100] * len(answered),
            "attempts": [attempts] * len(answered),
            "answered_share": answered,
            "backlog": [0] * len(answered),
        }
    )


@pytest.mark.parametrize(
    ("answered", "back_s"),
    [([1, 0, 1, 1], 0), ([1, 0, 0, 1], 1), ([1, 0, 0, 0], None), ([1, 0, 1, 0], None)],
)
def test_back_means_for_good(answered: list[float], back_s: float | None):
    assert back_after_s(table(answered), ends_s=2) == back_s


def test_the_title_names_who_never_recovers():
    chart = retry_storm(
        {"retries": table([1, 0, 0, 0], attempts=300), "a budget": table([1, 0, 0, 1])},
        outage_s=(1, 2),
        capacity_per_s=150,
    )
    assert chart.title == "The outage ends, and retries never recovers; a budget does"
    assert "retries: at most 300 attempts a second, never back." in chart.alt
    assert chart.table.rows[0] == ("retries", 300, 25.0, "never")
    assert chart.svg().startswith("<?xml")


@pytest.mark.parametrize(
    ("end", "title"),
    [(1, "Every defence brings"), (0, "No defence brings")],
)
def test_the_title_follows_the_data(end: float, title: str):
    chart = retry_storm({"x": table([1, 0, end, end])}, outage_s=(1, 2), capacity_per_s=150)
    assert chart.title.startswith(title)
