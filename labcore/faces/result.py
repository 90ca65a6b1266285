"""A result: a recording on disk with its verdicts, its summary and its report.

What draws and tabulates is imported where it is used, here and in the other faces: a command that only
refuses bad input should not first load an atlas of charts.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labcore.kernel import UsageError
from labcore.measure import Recording

if TYPE_CHECKING:
    import pandas as pd

RESULT_MIME = "application/vnd.labcore.result+json"
LOOK_COLUMNS = (
    "arm", "block", "requests", "achieved_per_s", "error_share", "p50_ms", "p99_ms",
    "cpu_per_request_us", "rss_peak_mb", "threads_max", "in_flight_mean", "bottleneck", "void",
)  # fmt: skip


class Result:
    """What was measured. A result of last week is as good as one of now: both read the recording."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    @property
    def path(self) -> Path:
        """The directory of the recording."""
        return self.recording.path

    @property
    def verdicts(self) -> "pd.DataFrame":
        """One row a verdict: arm, metric, word, ratio with interval, pairs, sentence."""
        import pandas as pd

        return pd.DataFrame([asdict(verdict) for verdict in self.recording.verdicts])

    @property
    def runs(self) -> "pd.DataFrame":
        """One row a run, void ones included: the fields of `RunRow`."""
        return self.recording.runs

    def summary(self) -> dict[str, Any]:
        """What a script wants: directory, status, verdicts and the bottleneck of each arm."""
        valid = self.runs[~self.runs["void"].astype(bool)]
        bottlenecks = {
            str(arm): str(rows["bottleneck"].mode().iat[0]) for arm, rows in valid.groupby("arm")
        }
        return {
            "run": str(self.path),
            "kind": self.recording.kind,
            "status": self.recording.experiment["status"],
            "runs": len(self.runs),
            "void_runs": int(self.runs["void"].sum()),
            "bottlenecks": bottlenecks,
            "verdicts": [asdict(verdict) for verdict in self.recording.verdicts],
        }

    def against(self, guess: Mapping[str, float], *, arm: str) -> "pd.DataFrame":
        """A prediction beside what was measured: ratios of `arm` to the baseline, by metric.

        Raises:
            UsageError: an arm or a metric without a verdict in this result.
        """
        measured = {
            verdict.metric: verdict for verdict in self.recording.verdicts if verdict.arm == arm
        }
        strangers = sorted(set(guess) - set(measured))
        if strangers:
            known = ", ".join(sorted(measured)) or "none for this arm"
            raise UsageError(f"no verdict on {strangers[0]!r} for {arm!r}; there are: {known}")
        import pandas as pd

        rows = [
            {
                "metric": metric,
                "predicted ratio": ratio,
                "measured ratio": measured[metric].ratio,
                "low": measured[metric].low,
                "high": measured[metric].high,
                "prediction inside the interval": measured[metric].low
                <= ratio
                <= measured[metric].high,
            }
            for metric, ratio in guess.items()
        ]
        return pd.DataFrame(rows)

    def print(self) -> None:
        """The verdict table on the terminal."""
        from labcore.show import print_summary

        print_summary(self.recording)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the self-contained HTML report (default: `report.html` in the recording)."""
        from labcore.show import write_report

        return write_report(self.recording, Path(path) if path else self.path / "report.html")

    def adr(
        self,
        path: str | Path | None = None,
        *,
        weights: Mapping[str, float] | None = None,
        objective: str | None = None,
        title: str = "",
    ) -> Path:
        """Write the decision record, Markdown after MADR (default: `adr.md` in the recording).

        Args:
            path: where to.
            weights: how much each metric counts, such as `{"p99_ms": 2, "rss_peak_mb": 1}`; default
                every judged metric alike.
            objective: what a lane must keep to be chosen, such as `p99<250ms,errors<0.1%`.
            title: of the record.

        Raises:
            UsageError: weights or objective that make no sense, or no verdicts to decide by.
            EnvironmentFault: the file cannot be written.
        """
        from labcore.show import write_adr

        target = Path(path) if path else self.path / "adr.md"
        return write_adr(self.recording, target, weights=weights, objective=objective, title=title)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        table = self.runs[list(LOOK_COLUMNS)]
        return {
            "text/html": table.to_html(index=False, float_format="{:.3g}".format),
            "text/plain": table.to_string(index=False),
            RESULT_MIME: json.loads(json.dumps(plain(self.summary()), default=str)),
        }


def plain(value: Any) -> Any:
    """The value with NaN and infinity as None, which is all that JSON can say."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not (-float("inf") < value < float("inf")):
        return None
    return value
