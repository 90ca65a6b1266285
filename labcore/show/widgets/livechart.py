"""A chart that moves while the load runs: one float32 buffer a redraw, ten a second at most.

Matplotlib costs 43 to 71 ms of kernel CPU a redraw, which would disturb the measurement it shows;
this canvas costs a fraction of a millisecond. Where no front end runs, the widget's mime bundle
carries an SVG of the last state, so an executed notebook still shows the picture.
"""

import html
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

_HERE = Path(__file__).parent
REDRAW_INTERVAL_S = 0.1
LONGEST_SERIES = 3_000  # five minutes at ten points a second


@dataclass(slots=True)
class Series:
    """One line: its look, and its points so far (bounded; the oldest go first)."""

    name: str
    color: str
    dash: tuple[float, ...] = ()
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)

    def add(self, x: float, y: float) -> None:
        """Append a point."""
        self.x.append(x)
        self.y.append(y)
        if len(self.x) > LONGEST_SERIES:
            del self.x[: LONGEST_SERIES // 10], self.y[: LONGEST_SERIES // 10]


class LiveChart(anywidget.AnyWidget):
    """Lines over time. Add points from any one thread; drawing is coalesced."""

    _esm = _HERE / "livechart.js"
    _css = _HERE / "livechart.css"
    title = traitlets.Unicode("").tag(sync=True)
    x_label = traitlets.Unicode("time (s)").tag(sync=True)
    y_label = traitlets.Unicode("").tag(sync=True)
    log_y = traitlets.Bool(False).tag(sync=True)
    height_px = traitlets.Int(190).tag(sync=True)
    series = traitlets.List(traitlets.Dict()).tag(sync=True)
    frame = traitlets.Bytes(b"").tag(sync=True)
    summary = traitlets.Unicode("No data yet.").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._lines: dict[str, Series] = {}
        self._drawn_at_s = 0.0
        self._unit = self.y_label

    def line(self, name: str, *, color: str, dash: tuple[float, ...] = ()) -> Series:
        """The series of that name, made on first use."""
        return self._lines.setdefault(name, Series(name, color, dash))

    def clear(self) -> None:
        """Forget all series."""
        self._lines.clear()
        self.redraw(force=True)

    def redraw(self, *, force: bool = False) -> None:
        """Send the current state, unless the last redraw was under 100 ms ago."""
        now_s = time.monotonic()
        if not force and now_s - self._drawn_at_s < REDRAW_INTERVAL_S:
            return
        self._drawn_at_s = now_s
        lines = list(self._lines.values())
        values = [np.asarray(part, np.float32) for line in lines for part in (line.x, line.y)]
        with self.hold_sync():
            self.series = [
                {
                    "name": line.name,
                    "color": line.color,
                    "dash": list(line.dash),
                    "count": len(line.x),
                }
                for line in lines
            ]
            self.frame = np.concatenate(values).tobytes() if values else b""
            self.summary = self._in_words()

    def _in_words(self) -> str:
        finite = ((line.name, _last_finite(line.y)) for line in self._lines.values())
        parts = [f"{name}: {value:.3g}" for name, value in finite if value is not None]
        return f"Now, {self._unit}: " + "; ".join(parts) if parts else "No data yet."

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if isinstance(data, dict):
            data["text/html"] = svg(self.title, self._unit, self._lines, log_y=self.log_y)
            data["text/plain"] = f"{self.title}. {self.summary}"
        return bundle


def svg(title: str, unit: str, lines: Mapping[str, Series], *, log_y: bool = False) -> str:
    """The chart's last state as a small SVG with its text alternative."""
    width, height, left, top = 420, 200, 52, 24
    points = [
        (x, y)
        for line in lines.values()
        for x, y in zip(line.x, line.y, strict=True)
        if np.isfinite(y) and (y > 0 or not log_y)
    ]
    shape = np.asarray(points or [(0.0, 1.0)])
    scale = np.log if log_y else np.asarray
    low = float(scale(shape[:, 1].min())) if log_y else min(0.0, float(shape[:, 1].min()))
    span = (float(scale(shape[:, 1].max())) - low) or 1.0
    x_span = float(np.ptp(shape[:, 0])) or 1.0
    x_low = float(shape[:, 0].min())
    body = []
    for line in lines.values():
        path = " ".join(
            f"{left + (x - x_low) / x_span * (width - left - 10):.1f},"
            f"{height - 24 - (float(scale(y)) - low) / span * (height - top - 34):.1f}"
            for x, y in zip(line.x, line.y, strict=True)
            if np.isfinite(y) and (y > 0 or not log_y)
        )
        body.append(
            f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2"/>'
        )
    legend = html.escape(", ".join(lines))
    label = html.escape(f"{title}: {legend}; highest {shape[:, 1].max():.3g} {unit}")
    return (
        f'<svg role="img" aria-label="{label}" width="{width}" height="{height}" '
        f'xmlns="http://www.w3.org/2000/svg"><text x="4" y="15" font-size="12">'
        f"{html.escape(title)}</text>{''.join(body)}"
        f'<text x="4" y="{height - 4}" font-size="10">{legend}; highest '
        f"{shape[:, 1].max():.3g} {html.escape(unit)}</text></svg>"
    )


def _last_finite(values: list[float]) -> float | None:
    for value in reversed(values):
        if np.isfinite(value):
            return value
    return None
