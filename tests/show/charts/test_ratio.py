import math
from itertools import pairwise

import pytest

from labcore.show.charts.figure import house_style, new_figure
from labcore.show.charts.ratio import ratio_axis, zone_band


@pytest.mark.parametrize("reach", [0.03, 0.3, 1.0, 3.0, 5.0])
def test_labels_are_plain_ratios_around_one_without_crowding(reach: float):
    with house_style():
        _, grid = new_figure(height_in=2.0)
        axes = grid[0][0]
        ratio_axis(axes, "x", low=-reach, high=reach)
    ticks = sorted(float(tick) for tick in axes.get_xticks())
    assert 0.0 in ticks
    assert len(ticks) >= 3
    gaps = [b - a for a, b in pairwise(ticks)]
    assert min(gaps) >= 0.1 * 2 * reach
    assert "1×" in [axes.xaxis.get_major_formatter()(tick) for tick in ticks]


def test_the_zone_is_symmetric_in_logarithms():
    with house_style():
        _, grid = new_figure(height_in=2.0)
        axes = grid[0][0]
        zone_band(axes, "y", zone_share=0.05)
    box = axes.patches[0].get_bbox()  # type: ignore[attr-defined]  # a span is a rectangle
    assert [box.y0, box.y1] == pytest.approx([-math.log(1.05), math.log(1.05)])
