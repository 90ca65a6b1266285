"""What of this machine makes measurements doubtful, as a table."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from labcore.measure import diagnose, take_vitals

if TYPE_CHECKING:
    import pandas as pd


def doctor(*, runs: str | Path | None = None) -> "pd.DataFrame":
    """Examine the machine for about a second; one row a fact, nothing is changed.

    Columns: `name`, `value` as read, `severity` (fine, doubtful, bad, unknown), `why` it matters,
    `remedy`.

    Args:
        runs: where recordings will go, whose free disk counts; default `runs/`.
    """
    import pandas as pd

    vitals = take_vitals(runs=None if runs is None else Path(runs))
    return pd.DataFrame([asdict(symptom) for symptom in diagnose(vitals)])
