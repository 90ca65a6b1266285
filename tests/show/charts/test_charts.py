"""What holds for every chart of a recording, whatever the recording."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from labcore.measure import Recording
from labcore.show.charts import CHARTS, Chart

Shaped = Callable[[str], Recording]
Draw = Callable[[Recording], Chart]

SHAPES: dict[str, dict[str, Any]] = {
    "whole": {"pairs": 6},
    "one block": {"pairs": 1, "void": ()},
    "no block": {"pairs": 0},
    "no verdict, no control, void": {
        "pairs": 2,
        "control": False,
        "verdicts": False,
        "void": ((1, "reactive"), (2, "threads")),
    },
    "foreign lane": {"arms": ("threads", "gateway"), "pairs": 6},
    "nothing but a foreign lane": {"arms": ("gateway",), "control": False, "pairs": 6},
    "next to no requests": {"pairs": 2, "rate": 0.8, "duration_s": 2.0, "void": ()},
}


@pytest.fixture(scope="module")
def shaped(make_recording: Callable[..., Recording]) -> Shaped:
    """Each shape is built once and read by every chart."""
    return cache(lambda name: make_recording(**SHAPES[name]))


@pytest.mark.parametrize("draw", CHARTS, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_recording_can_be_drawn(draw: Draw, shape: str, shaped: Shaped):
    chart = draw(shaped(shape))
    assert ET.fromstring(chart.svg()).tag.endswith("svg")
    assert chart.title
    assert chart.alt.endswith(".")
    assert chart.reading.endswith(".")
    assert all(len(row) == len(chart.table.columns) for row in chart.table.rows)


@pytest.mark.parametrize("draw", CHARTS, ids=lambda draw: draw.__name__)
def test_the_same_recording_gives_the_same_bytes(draw: Draw, recording: Recording):
    assert draw(recording).svg() == draw(recording).svg()


@pytest.mark.parametrize("draw", CHARTS, ids=lambda draw: draw.__name__)
def test_the_unit_of_repetition_is_printed(draw: Draw, recording: Recording):
    svg = draw(recording).svg()
    assert "n = 6" in svg or "one run per lane" in svg


def test_chart_names_serve_as_identifiers(recording: Recording):
    names = [draw(recording).name for draw in CHARTS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
