import pytest

from labcore.kernel import UsageError
from labcore.show.widgets import Panel


def watched(*gauges: str) -> Panel:
    return Panel("checkout", lanes=["reactive", "threads"], watch=gauges)


def test_the_gauges_asked_for_are_drawn_in_that_order():
    panel = watched("breaker_state", "admission_queue", "breaker_state")
    try:
        titles = [chart.title for chart in panel._charts.values()]
        assert titles[3:] == [
            "Circuit breaker: 0 closed, 1 open, 2 half-open",
            "In line to be admitted",
        ]
    finally:
        panel.close()


def test_a_sample_moves_the_charts_of_the_gauges_it_has():
    panel = watched("breaker_state", "worker_pool_busy")
    try:
        panel._event("sample", {"arm": "reactive", "elapsed_s": 1.0, "breaker_state": 1.0})
        opened, workers = (panel._charts[name] for name in ("breaker_state", "worker_pool_busy"))
        assert opened.line("reactive", color="", dash=()).y == [1.0]
        assert not workers._lines
    finally:
        panel.close()


def test_an_unknown_gauge_is_refused_with_those_there_are():
    with pytest.raises(
        UsageError, match=r"no gauge 'breaker' to watch; there are: threads, breaker_state"
    ):
        watched("breaker")


def test_a_panel_takes_the_place_of_the_last_one_of_its_name():
    first, other = watched("threads"), Panel("checkout", lanes=["reactive"], name="storm")
    second = watched("threads")
    try:
        assert first.widget.comm is None
        assert other.widget.comm is not None
        assert second.widget.comm is not None
    finally:
        other.close()
        second.close()
