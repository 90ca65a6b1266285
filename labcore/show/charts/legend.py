"""The key of a chart: one entry a lane, above the axes, colour with its second cue."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labcore.show.palette import LaneStyle


def key(figure: Figure, styles: Mapping[str, LaneStyle], *, lines: bool = False) -> None:
    """Draw the key at the upper left of the figure; `lines` shows dashes beside the markers."""
    handles = [_handle(label, style, lines=lines) for label, style in styles.items()]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside upper left",
            ncols=len(handles),
            borderaxespad=0.2,
            columnspacing=1.8,
        )


def _handle(label: str, style: LaneStyle, *, lines: bool) -> Line2D:
    handle = Line2D([], [], color=style.color, marker=style.marker, markersize=5.5, label=label)
    if not lines:
        handle.set_linestyle("none")
    elif style.dash:
        handle.set_dashes(style.dash)
    return handle
