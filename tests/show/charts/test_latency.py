from collections.abc import Callable

import numpy as np
import pytest

from labcore.measure import Recording
from labcore.show.charts.figure import DENSE_POINTS
from labcore.show.charts.latency import UNANSWERED, latency_over_time
from labcore.show.evidence import representative_run

Build = Callable[..., Recording]


def test_every_request_of_the_typical_run_is_a_mark(recording: Recording):
    axes = latency_over_time(recording).figure.axes
    for panel, lane in zip(axes, ("reactive", "threads", "virtual"), strict=True):
        name = representative_run(recording, lane)
        assert name is not None
        drawn = sum(np.size(line.get_xdata()) for line in panel.lines)
        assert drawn == len(recording.requests(name))
        assert panel.get_title(loc="left") == f"{lane}, run {name}"


def test_all_lanes_share_their_axes(recording: Recording):
    first, *others = latency_over_time(recording).figure.axes
    assert all(one.get_ylim() == first.get_ylim() for one in others)
    assert first.get_yscale() == "log"


def test_unanswered_requests_are_counted_in_the_title(recording: Recording):
    chart = latency_over_time(recording)
    lost = sum(int(row[2]) for row in chart.table.rows if row[1] in UNANSWERED)
    assert lost
    assert chart.title.startswith("Requests without an answer: ")


@pytest.mark.parametrize(("rate", "pixels"), [(60.0, False), (800.0, True)])
def test_many_points_become_pixels(rate: float, pixels: bool, make_recording: Build):
    chart = latency_over_time(make_recording(pairs=1, rate=rate, void=()))
    points = sum(int(row[2]) for row in chart.table.rows)
    assert (points > DENSE_POINTS) is pixels
    assert ("<image" in chart.svg()) is pixels
