"""What every chart is: a figure, the sentence it proves, its text alternative and its numbers.

Figures are drawn with matplotlib's object interface on the Agg canvas, never through pyplot, so
that no global state leaks between a notebook, a server thread and a test. SVG bytes are the same
for the same data: a fixed salt for ids and no date. One picture serves light and dark pages: it
is drawn in the light tones of the palette and carries a style sheet that swaps them.
"""

import base64
import html
import io
import math
import re
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from labcore.show.palette import INK, MUTED, PAPER, RULE, THEME
from labcore.show.words import number

DENSE_POINTS = 5_000  # above this a scatter is embedded as pixels: SVG would outgrow the page
WIDTH_IN = 7.4

Cell = str | int | float
Sharing = bool | Literal["none", "all", "row", "col"]

# Measured with the first family, shown in the reader's own: DejaVu is the widest of the usual
# system fonts, so whatever fits here fits there.
_DRAWN_FONT = "DejaVu Sans"
_SHOWN_FONTS = (
    "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial"
)

_STYLE: Any = {  # Any: matplotlib types the keys as one literal of 300 names
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED[0],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED[0],
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK[0],
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "figure.facecolor": PAPER[0],
    "font.family": _DRAWN_FONT,
    "font.size": 8.5,
    "grid.color": RULE[0],
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.labelcolor": INK[0],
    "lines.linewidth": 1.6,
    "savefig.facecolor": PAPER[0],
    "svg.fonttype": "none",
    "svg.hashsalt": "labcore",
    "text.color": INK[0],
    "xtick.color": MUTED[0],
    "xtick.labelsize": 8,
    "ytick.color": MUTED[0],
    "ytick.labelsize": 8,
}


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers behind a chart: plain cells, units in the column names."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with its finding (`title`), its text alternative (`alt`) and its numbers.

    `name` is an identifier for links; `reading` says in a sentence or two how the picture is read.
    """

    name: str
    title: str
    alt: str
    reading: str
    figure: Figure
    table: Table

    def svg(self, *, titled: bool = False) -> str:
        """The figure as SVG text, the same bytes for the same data; `titled` draws the title in."""
        heading = None
        if titled:
            lines = "\n".join(textwrap.wrap(self.title, 78))
            heading = self.figure.suptitle(
                lines, x=0.012, ha="left", fontsize=11, weight="bold", color=INK[0]
            )
        buffer = io.StringIO()
        with rc_context(_STYLE):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        if heading is not None:
            self.figure.suptitle("")
        return _themed(buffer.getvalue())

    def data_uri(self) -> str:
        """The SVG as a `data:` address for an `<img>`: needs no file and no network."""
        encoded = base64.b64encode(self.svg().encode()).decode("ascii")
        return f"data:image/svg+xml;base64,{encoded}"

    def _repr_html_(self) -> str:
        """What a notebook shows: the finding, the picture, how to read it."""
        return (
            f"<figure><figcaption><strong>{html.escape(self.title)}</strong></figcaption>"
            f'<img src="{self.data_uri()}" alt="{html.escape(self.alt)}" style="max-width:100%">'
            f"<p>{html.escape(self.reading)}</p></figure>"
        )


def new_figure(
    rows: int = 1,
    columns: int = 1,
    *,
    height_in: float,
    width_in: float = WIDTH_IN,
    sharex: Sharing = False,
    sharey: Sharing = False,
    height_ratios: Sequence[float] | None = None,
) -> tuple[Figure, list[list[Axes]]]:
    """A figure in the house style with its grid of axes, rows first."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(
            rows,
            columns,
            squeeze=False,
            sharex=sharex,
            sharey=sharey,
            height_ratios=height_ratios,
        )
    for axes in grid.flat:
        axes.tick_params(length=0)
    return figure, [list(line) for line in grid]


def house_style() -> AbstractContextManager[None]:
    """The context in which artists take the house style; for code that adds artists of its own."""
    return rc_context(_STYLE)


def corner_note(figure: Figure, text: str) -> None:
    """The unit of repetition and what was left out, small, at the lower right."""
    figure.supxlabel(text, x=0.995, ha="right", fontsize=7.5, color=MUTED[0])


def plain_log(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 of each decade.

    An axis without anything above zero stays as it is.
    """
    axis = axes.xaxis if which == "x" else axes.yaxis
    if not math.isfinite(axis.get_minpos()):
        return
    axes.set(**{f"{which}scale": "log"})
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    shared = axes.get_shared_x_axes() if which == "x" else axes.get_shared_y_axes()
    for sibling in shared.get_siblings(axes):
        sibling.tick_params(which="minor", length=0)
    axis.set_minor_formatter(NullFormatter())


def _themed(svg: str) -> str:
    """Swap drawn fonts for the reader's own, and the light tones for dark ones on a dark page."""
    svg = re.sub(rf"'{_DRAWN_FONT}'(, [^;\"]*)?", f"{_SHOWN_FONTS}, sans-serif", svg)
    swaps = "".join(
        f'[style*="fill: {light}"]{{fill:{dark}!important}}'
        f'[style*="stroke: {light}"]{{stroke:{dark}!important}}'
        for light, dark in THEME
    )
    sheet = (
        f"<style>text{{font-family:{_SHOWN_FONTS},sans-serif}}"
        f"@media (prefers-color-scheme:dark){{{swaps}}}</style>"
    )
    head, tag, tail = svg.partition("<defs>")
    return f"{head}{sheet}{tag}{tail}"
