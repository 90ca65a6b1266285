"""Which cells a grid has, and which grids there are not."""

import pytest

from labcore.kernel import UsageError
from labcore.measure.grid import Grid


def test_cells_lie_row_by_row():
    grid = Grid("payment_ms", (0.0, 5.0), (50.0, 100.0))
    assert grid.places == [(0, 50), (0, 100), (5, 50), (5, 100)]


def test_every_cell_has_a_folder_of_its_own():
    grid = Grid("payment_ms", (0.0, 0.5, 5.0), (50.0, 100.0))
    folders = [grid.folder(*place) for place in grid.places]
    assert folders[2] == "cells/payment_ms_0.5_rate_50"
    assert len(set(folders)) == 6


@pytest.mark.parametrize(
    ("values", "rates", "said"),
    [
        ((), (50.0,), r"payment_ms=\[\]"),
        ((0.0,), (), r"rates=\[\]"),
        ((5.0, 0.0), (50.0,), "ascending"),
        ((5.0, 5.0), (50.0,), "different numbers"),
        ((0.0,), (0.0, 50.0), "rates above 0"),
        ((float("nan"),), (50.0,), "payment_ms"),
        ((0.0,), (float("inf"),), "rates"),
    ],
)
def test_a_side_that_is_none_is_named(
    values: tuple[float, ...], rates: tuple[float, ...], said: str
):
    with pytest.raises(UsageError, match=said):
        Grid("payment_ms", values, rates)
