"""What of this machine makes measurements doubtful, as a table."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from labcore.measure import diagnose, take_vitals


def doctor(*, runs: str | Path | None = None) -> pd.DataFrame:
    """Examine the machine for about a second; one row a fact, nothing is changed.

    Columns: `name`, `value` as read, `severity` (fine, doubtful, bad, unknown), `why` it matters,
    `remedy`.

    Args:
        runs: where recordings will go, whose free disk counts; default `runs/`.
    """
    vitals = take_vitals(runs=None if runs is None else Path(runs))
    return pd.DataFrame([asdict(symptom) for symptom in diagnose(vitals)])
