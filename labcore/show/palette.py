"""One colour, marker and dash per lane, the same in every chart, report and live view.

Colours are the eight of Okabe and Ito, told apart by colour-blind readers; the marker and the dash
say the same once more, so that a chart survives a black-and-white printer. Which chart uses what is
the charts' affair.

Source: Okabe and Ito, "Color Universal Design" (2008).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from labcore.measure import CONTROL

Dash = tuple[float, ...]  # lengths on and off in line widths; empty = solid


@dataclass(frozen=True, slots=True)
class LaneStyle:
    """How a lane looks: `color` as #rrggbb, `marker` in matplotlib's letters, `dash` on and off."""

    color: str
    marker: str
    dash: Dash = ()


LANE_STYLES = {
    "reactive": LaneStyle("#0072b2", "o"),
    "threads": LaneStyle("#d55e00", "s", (5.0, 1.6)),
    "virtual": LaneStyle("#009e73", "^", (5.0, 1.4, 1.0, 1.4)),
    "structured": LaneStyle("#cc79a7", "D", (1.6, 1.2)),
    CONTROL: LaneStyle("#7d7d7d", "P", (3.0, 2.0)),
}

# For lanes of the user's, in the order they are met.
FOREIGN_STYLES = (
    LaneStyle("#e69f00", "v", (8.0, 2.0)),
    LaneStyle("#56b4e9", "X", (8.0, 2.0, 1.0, 2.0)),
    LaneStyle("#b8a900", "p", (2.6, 2.6)),  # Okabe-Ito's yellow, darkened to be seen on white
    LaneStyle("#8c6d31", "h", (1.0, 2.4)),
)


def lane_styles(lanes: Iterable[str]) -> dict[str, LaneStyle]:
    """A style for each lane: built-in lanes keep theirs, others take the next free one.

    With more than four foreign lanes the styles come round again.
    """
    styles: dict[str, LaneStyle] = {}
    strangers = 0
    for lane in lanes:
        if lane in styles:
            continue
        if lane in LANE_STYLES:
            styles[lane] = LANE_STYLES[lane]
        else:
            styles[lane] = FOREIGN_STYLES[strangers % len(FOREIGN_STYLES)]
            strangers += 1
    return styles


# Neutral tones of the page and of every figure: (light, dark). Charts draw with the light tone;
# the SVG carries a style sheet that swaps each for its dark twin.
INK = ("#1d2329", "#e7e9ec")
MUTED = ("#5b6670", "#a3adb8")
RULE = ("#dde2e7", "#343c45")
PAPER = ("#fefefe", "#171b20")
ZONE = ("#e9edf1", "#262d35")
ALARM = ("#b3261e", "#ff8a80")
# Lanes keep their hue on a dark page and gain light, for contrast of 4.5 to 1 and better.
_ON_DARK = (
    ("#0072b2", "#4fb0ea"),
    ("#d55e00", "#f28444"),
    ("#009e73", "#35c79b"),
    ("#7d7d7d", "#a2a8ae"),
    ("#8c6d31", "#c9a25a"),
)
THEME = (INK, MUTED, RULE, PAPER, ZONE, ALARM, *_ON_DARK)
