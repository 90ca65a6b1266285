"""The knobs of a panel, made from a scenario's own parameters: ranges, units and help included."""

from collections.abc import Iterable, Mapping
from typing import Any

import ipywidgets as widgets

from labcore.kernel import UsageError
from labcore.lanes.contract import Parameter, Scenario, Value

RATE = Parameter("rate_per_s", 100.0, "requests/s", "Offered load, open loop.", 1, 2_000)
DURATION = Parameter("duration_s", 5.0, "s", "Measured seconds for each lane.", 1, 120)
_WIDE = widgets.Layout(width="36em", max_width="100%")
Range = tuple[float, float]
Controls = Iterable[str] | Mapping[str, Range]
_LABEL = {"description_width": "13em"}


class Form:
    """Lanes to tick, rate, duration and some of the scenario's parameters as sliders.

    `controls` names the parameters, and may narrow a slider to the range worth exploring:
    `{"payment_ms": (0, 500)}`; rate and duration, always there, may be narrowed too.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        lanes: Iterable[str],
        controls: Controls,
        values: Mapping[str, Value],
    ) -> None:
        chosen = set(lanes)
        for name in chosen:
            scenario.lane(name)
        known = {parameter.name: parameter for parameter in scenario.parameters}
        ranges = dict(controls) if isinstance(controls, Mapping) else dict.fromkeys(controls)
        own = {RATE.name, DURATION.name}
        strangers = [name for name in ranges if name not in known and name not in own]
        if strangers:
            raise UsageError(
                f"scenario {scenario.name!r} has no parameter {strangers[0]!r}; "
                f"it has: {', '.join(sorted(known))}"
            )
        self._fixed = {
            name: value for name, value in values.items() if name in known and name not in ranges
        }
        self._lanes = {
            lane.name: widgets.Checkbox(
                value=lane.name in chosen, description=lane.name, indent=False, tooltip=lane.title
            )
            for lane in scenario.lanes
        }
        asked = [RATE, DURATION, *(known[name] for name in ranges if name not in own)]
        self._knobs = {
            knob.name: _slider(knob, values.get(knob.name), ranges.get(knob.name)) for knob in asked
        }
        self.widget = widgets.VBox(
            [
                widgets.HBox(list(self._lanes.values())),
                *self._knobs.values(),
            ]
        )

    @property
    def lanes(self) -> list[str]:
        """The ticked lanes, in the scenario's order. Raises: UsageError when none is ticked."""
        chosen = [name for name, box in self._lanes.items() if box.value]
        if not chosen:
            raise UsageError(f"no lane is ticked; tick at least one of {', '.join(self._lanes)}")
        return chosen

    @property
    def rate_per_s(self) -> float:
        """Offered load in requests per second."""
        return float(self._knobs[RATE.name].value)

    @property
    def duration_s(self) -> float:
        """Measured seconds for each lane."""
        return float(self._knobs[DURATION.name].value)

    @property
    def parameters(self) -> dict[str, Value]:
        """The scenario's parameters: what the sliders say, over what was given."""
        moved = {
            name: knob.value
            for name, knob in self._knobs.items()
            if name not in {RATE.name, DURATION.name}
        }
        return self._fixed | moved

    def disable(self, disabled: bool) -> None:
        """Lock or free every knob."""
        for knob in (*self._lanes.values(), *self._knobs.values()):
            knob.disabled = disabled


def _slider(parameter: Parameter, value: Value | None, narrowed: Range | None) -> Any:
    start = parameter.check(parameter.default if value is None else value)
    if isinstance(parameter.default, bool):
        return widgets.Checkbox(value=bool(start), description=parameter.name)
    low = 0.0 if parameter.low is None else parameter.low
    high = low + 1_000.0 if parameter.high is None else parameter.high
    if narrowed is not None:
        for end in narrowed:
            parameter.check(int(end) if isinstance(parameter.default, int) else end)
        low, high = min(narrowed[0], float(start)), max(narrowed[1], float(start))
    make = widgets.IntSlider if isinstance(parameter.default, int) else widgets.FloatSlider
    step = 1 if isinstance(parameter.default, int) else _step(high - low)
    unit = f" ({parameter.unit})" if parameter.unit else ""
    return make(
        value=start,
        min=low,
        max=high,
        step=step,
        description=parameter.name.removesuffix(f"_{parameter.unit}") + unit,
        tooltip=parameter.help,
        style=_LABEL,
        layout=_WIDE,
        continuous_update=False,
    )


def _step(span: float) -> float:
    """A step that gives some hundred places: 0.01 for a share, 1 for milliseconds."""
    return 0.01 if span <= 1 else 0.1 if span <= 20 else 1.0
