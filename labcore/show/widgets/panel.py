"""The panel of a scenario: choose, Run, watch, Cancel; the same call as a script makes, with a skin.

The measuring runs on the panel's one job; events arrive on that thread and are coalesced to ten
redraws a second. A panel closes the predecessor of its name, so that a cell run twice leaves one.
"""

import html
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as widgets
import pandas as pd

from labcore import measure
from labcore.kernel import LabError, UsageError
from labcore.lanes import scenario as find_scenario
from labcore.lanes.contract import Value
from labcore.show.palette import lane_styles
from labcore.show.widgets.form import Controls, Form
from labcore.show.widgets.job import Job, State
from labcore.show.widgets.livechart import LiveChart

LOG_LINES = 200
RATE_WINDOW_S = 0.5
RESULT_COLUMNS = {
    "lane": "lane",
    "p50_ms": "p50 (ms)",
    "p99_ms": "p99 (ms)",
    "achieved_per_s": "answered (1/s)",
    "error_share": "errors (share)",
    "cpu_per_request_us": "CPU a request (us)",
    "threads_max": "threads",
    "bottleneck": "bottleneck",
}
GAUGES = {  # what a server says of itself ten times a second, and how its chart is headed
    "threads": ("OS threads of the server", "threads"),
    "breaker_state": ("Circuit breaker: 0 closed, 1 open, 2 half-open", "state"),
    "admission_queue": ("In line to be admitted", "requests"),
    "shed_total": ("Shed with 503 so far", "requests"),
    "retries_total": ("Retries so far", "calls"),
    "worker_pool_busy": ("Workers busy", "threads"),
    "db_pool_busy": ("Database connections busy", "connections"),
    "db_pool_waiting": ("Waiting for a database connection", "requests"),
    "downstream_in_flight": ("Calls to the other service under way", "calls"),
    "loop_lag_ms": ("Lag of the event loop", "ms"),
}
_open_panels: dict[str, "Panel"] = {}


class Panel:
    """One run of each ticked lane, watched live. A look, not a verdict: verdicts need pairs.

    After a run `recording` holds what was measured, also when it was cancelled; `errors` keeps every
    error that was shown. `watch` names the server's gauges to be drawn; a lane that lacks one draws
    nothing there. Two panels of one scenario on a page need names of their own.

    Raises: UsageError for an unknown scenario, lane, parameter or gauge.
    """

    def __init__(
        self,
        scenario: str,
        *,
        lanes: Iterable[str],
        controls: Controls = (),
        rate_per_s: float = 100.0,
        duration_s: float = 5.0,
        values: Mapping[str, Value] | None = None,
        watch: Iterable[str] = ("threads",),
        name: str = "",
    ) -> None:
        self.scenario = scenario
        self.recording: measure.Recording | None = None
        self.errors: list[BaseException] = []
        self.form = Form(
            find_scenario(scenario),
            lanes=lanes,
            controls=controls,
            values={"rate_per_s": rate_per_s, "duration_s": duration_s, **(values or {})},
        )
        self._watch = _known_gauges(watch)
        self._styles = lane_styles(lane.name for lane in find_scenario(scenario).lanes)
        self._job = Job(self._state_changed)
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._rows: list[dict[str, Any]] = []
        self._done = (0.0, 0)
        self._rate = float("nan")
        self._logged_at_s = 0.0
        self._build()
        predecessor = _open_panels.pop(name or scenario, None)
        if predecessor is not None:
            predecessor.close()
        _open_panels[name or scenario] = self

    def run(self) -> bool:
        """Start, as the Run button does; False when a run is under way."""
        try:
            lanes = self.form.lanes
        except LabError as exc:
            self._show_error(exc)
            return False
        rate, duration_s, parameters = (
            self.form.rate_per_s,
            self.form.duration_s,
            self.form.parameters,
        )

        def work(cancelled: threading.Event) -> None:
            look = measure.look(
                self.scenario,
                lanes=lanes,
                rate=rate,
                duration_s=duration_s,
                parameters=parameters,
                on_event=self._event,
                cancelled=cancelled,
            )
            self.recording = look.recording

        for chart in self._charts.values():
            chart.clear()
        self._log.clear()
        self._rows.clear()
        self._error.value = self._results.value = ""
        self._progress.value, self._progress.max = 0, len(lanes)
        told = ", ".join(f"{key}={value}" for key, value in parameters.items())
        self._say(f"{', '.join(lanes)}: {rate:g} requests/s for {duration_s:g} s; {told}")
        return self._job.start(work)

    def cancel(self) -> None:
        """Stop, as the Cancel button does; what was measured is kept."""
        self._job.cancel()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the run has ended; False when the time passed first."""
        return self._job.wait(timeout_s)

    def close(self) -> None:
        """Cancel what runs, wait for it, and take the widgets off the page."""
        self._job.cancel()
        self._job.wait()
        for chart in self._charts.values():
            chart.close()
        self.widget.close()

    @property
    def status(self) -> str:
        """Where the panel stands, in one word."""
        return str(self._job.state)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget._repr_mimebundle_(**kwargs)

    def _build(self) -> None:
        self._run = widgets.Button(description="Run", button_style="primary", icon="play")
        self._cancel = widgets.Button(description="Cancel", icon="stop", disabled=True)
        self._run.on_click(lambda _: self._guard(self.run))
        self._cancel.on_click(lambda _: self._guard(self.cancel))
        self._progress = widgets.IntProgress(value=0, max=1, layout=widgets.Layout(width="14em"))
        self._status = widgets.HTML(_status("idle"))
        self._error = widgets.HTML()
        self._results = widgets.HTML()
        self._tail = widgets.HTML()
        self._charts = {
            "p99": LiveChart(title="Latency, 99th percentile", y_label="ms", log_y=True),
            "rate": LiveChart(title="Answered", y_label="requests/s"),
            "in_flight": LiveChart(title="In flight", y_label="requests"),
            **{
                name: LiveChart(title=GAUGES[name][0], y_label=GAUGES[name][1])
                for name in self._watch
            },
        }
        cell = widgets.Layout(width="auto", min_width="0")
        for chart in self._charts.values():
            chart.layout = cell
        grid = widgets.GridBox(
            list(self._charts.values()),
            layout=widgets.Layout(
                grid_template_columns="repeat(auto-fit, minmax(28em, 1fr))", grid_gap="8px"
            ),
        )
        details = widgets.Accordion([self._tail], titles=("Log",))
        self.widget = widgets.VBox(
            [
                self.form.widget,
                widgets.HBox([self._run, self._cancel, self._progress, self._status]),
                self._error,
                grid,
                self._results,
                details,
            ]
        )

    def _guard(self, act: Callable[[], object]) -> None:
        """Errors of a callback would vanish: show them, keep them."""
        try:
            act()
        except Exception as exc:  # noqa: BLE001 - a button has no caller to raise to
            self._show_error(exc)

    def _state_changed(self, state: State, error: BaseException | None) -> None:
        busy = state in {State.RUNNING, State.CANCELLING}
        self._run.disabled = busy
        self._cancel.disabled = state is not State.RUNNING
        self.form.disable(busy)
        self._status.value = _status(str(state))
        if error is not None:
            self._show_error(error)
        if not busy:
            for chart in self._charts.values():
                chart.redraw(force=True)
            self._say(str(state), force=True)

    def _event(self, kind: str, payload: dict[str, Any]) -> None:
        lane = str(payload.get("arm", ""))
        if kind == "run_started":
            self._done = (0.0, 0)
            self._status.value = _status(f"running {lane}")
            self._say(f"{lane}: started")
        elif kind == "progress":
            at_s = float(payload["at_s"])
            self._point("p99", lane, at_s, payload["p99_ms"])
            self._point("rate", lane, at_s, self._rate_per_s(at_s, int(payload["done"])))
            self._point("in_flight", lane, at_s, payload["in_flight"])
        elif kind == "sample":
            for gauge in self._watch:
                self._point(gauge, lane, float(payload["elapsed_s"]), payload.get(gauge))
        elif kind == "run_finished":
            self._progress.value = payload["settled"] + 1
            self._rows.append(payload)
            self._results.value = _table(self._rows)
            self._say(f"{lane}: {payload['requests']} requests, bottleneck {payload['bottleneck']}")
        elif kind in {"waiting", "notice"}:
            self._say(payload["message"])

    def _rate_per_s(self, at_s: float, done: int) -> float:
        """Answers per second over the last half second or more."""
        since_s, before = self._done
        if at_s - since_s < RATE_WINDOW_S:
            return self._rate
        self._done = (at_s, done)
        self._rate = (done - before) / (at_s - since_s)
        return self._rate

    def _point(self, chart: str, lane: str, x: float, y: object) -> None:
        if not isinstance(y, (int, float)):
            return
        style = self._styles[lane]
        self._charts[chart].line(lane, color=style.color, dash=style.dash).add(x, float(y))
        self._charts[chart].redraw()

    def _say(self, line: str, *, force: bool = False) -> None:
        self._log.append(html.escape(line))
        now_s = time.monotonic()
        if force or now_s - self._logged_at_s > 0.1:
            self._logged_at_s = now_s
            self._tail.value = "<pre>" + "\n".join(self._log) + "</pre>"

    def _show_error(self, error: BaseException) -> None:
        self.errors.append(error)
        text = (
            str(error)
            if isinstance(error, LabError)
            else "".join(traceback.format_exception(error))
        )
        self._error.value = f'<pre role="alert" style="color:#b3261e">{html.escape(text)}</pre>'


def _known_gauges(names: Iterable[str]) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(names))
    strangers = [name for name in chosen if name not in GAUGES]
    if strangers:
        raise UsageError(f"no gauge {strangers[0]!r} to watch; there are: {', '.join(GAUGES)}")
    return chosen


def _table(rows: list[dict[str, Any]]) -> str:
    frame = pd.DataFrame(rows)[list(RESULT_COLUMNS)].rename(columns=RESULT_COLUMNS)
    return str(frame.to_html(index=False, float_format="{:.3g}".format))


def _status(text: str) -> str:
    return f'<span role="status" aria-live="polite">{html.escape(text)}</span>'
