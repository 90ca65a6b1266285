"""Axes of ratios: drawn in logarithms, so that twice and half lie equally far from 1."""

import math
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from labcore.show.palette import MUTED, ZONE

_STEPS = (1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128)
_LEAST_GAP = 0.11  # between two labels, of the axis' length


def ratio_axis(axes: Axes, which: Literal["x", "y"], *, low: float, high: float) -> None:
    """Label an axis of log-ratios from `low` to `high` (logarithms) with plain ratios such as 1.5×."""
    span = high - low
    ticks = [0.0]
    for sign in (1.0, -1.0):
        last = 0.0
        for step in _STEPS:
            here = math.log(step)
            if (
                low <= sign * here <= high
                and here - last >= (_LEAST_GAP if which == "x" else 2 * _LEAST_GAP) * span
            ):
                ticks.append(sign * here)
                last = here
    axes.set(**{f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(sorted(ticks)))
    axis.set_major_formatter(
        FuncFormatter(
            lambda value, _: f"{math.exp(value):.2g}×" if value < 0 else f"{math.exp(value):.3g}×"
        )
    )


def zone_band(axes: Axes, which: Literal["x", "y"], *, zone_share: float) -> None:
    """Shade what counts as equal in practice, and draw the line of no difference."""
    zone = math.log1p(zone_share)
    span, line = (axes.axvspan, axes.axvline) if which == "x" else (axes.axhspan, axes.axhline)
    span(-zone, zone, color=ZONE[0], linewidth=0, zorder=0)
    line(0, color=MUTED[0], linewidth=0.8, zorder=1)
