import math
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from labcore.measure import CrossoverCell, CrossoverResult
from labcore.show import crossover_map
from labcore.show.palette import LANE_STYLES, RULE, ZONE


def cell(value: float, rate: float, word: Any, ratio: float = 1.0, **changes: Any) -> CrossoverCell:
    plain: dict[str, Any] = {
        "value": value, "rate_per_s": rate, "word": word, "ratio": ratio, "low": ratio * 0.95,
        "high": ratio * 1.05, "pairs": 10, "void_pairs": 0, "more_pairs": None, "p_value": 0.01,
        "p_holm": 0.04, "detectable_share": 0.05, "bottleneck": "none", "baseline_bottleneck": "none",
        "measured": True, "path": "cells/a",
    }  # fmt: skip
    return CrossoverCell(**{**plain, **changes})


CELLS = (
    cell(0, 100, "slower", 1.5),
    cell(0, 400, "undecided", 1.02),
    cell(20, 100, "equal in practice", 1.01),
    cell(20, 400, "faster", 0.4),
    cell(100, 100, "void", math.nan),
    cell(100, 400, "undecided", math.nan, measured=False),
)
RESULT = CrossoverResult(
    scenario="checkout", baseline="threads", lane="virtual", metric="cpu_per_request_us",
    better="lower", parameter="payment_ms", unit="ms", values=(0, 20, 100), rates_per_s=(100, 400),
    zone_share=0.05, cells=CELLS, complete=False, sentence="virtual overtakes threads from 20 ms on",
)  # fmt: skip


@pytest.fixture(scope="module")
def patches() -> list[Rectangle]:
    return [
        patch
        for patch in crossover_map(RESULT).figure.axes[0].patches
        if isinstance(patch, Rectangle)
    ]


def colour(patch: Rectangle) -> str:
    return to_hex(patch.get_facecolor(), keep_alpha=False)


def test_a_cell_has_the_colour_of_the_lane_that_is_better_there(patches: list[Rectangle]):
    assert colour(patches[0]) == LANE_STYLES["threads"].color
    assert colour(patches[3]) == LANE_STYLES["virtual"].color


def test_the_further_apart_the_fuller_the_colour(patches: list[Rectangle]):
    near, far = patches[0].get_alpha(), patches[3].get_alpha()
    assert near is not None
    assert far is not None
    assert near < far


def test_undecided_is_grey_equal_is_the_zone_and_void_is_hatched(patches: list[Rectangle]):
    assert colour(patches[1]) == RULE[0]
    assert colour(patches[2]) == ZONE[0]
    assert [bool(patch.get_hatch()) for patch in patches] == [False] * 4 + [True, False]


def test_every_cell_says_in_figures_what_its_colour_says():
    texts = [text.get_text() for text in crossover_map(RESULT).figure.axes[0].texts]
    assert texts == ["▼ 1.50×", "? 1.02×", "= 1.01×", "▲ 0.40×", "∅", "–"]


def test_title_table_and_text_alternative_hold_every_cell():
    chart = crossover_map(RESULT)
    assert chart.title == RESULT.sentence
    assert len(chart.table.rows) == len(CELLS)
    assert chart.table.columns[0] == "payment_ms, ms"
    assert (
        "payment_ms 20 ms: at 100/s equal in practice (1.01×) and at 400/s faster (0.40×)"
        in chart.alt
    )
    assert "not measured" in chart.alt
    assert ET.fromstring(chart.svg()).tag.endswith("svg")
