"""Floor 4: load, samples, pairs, statistics, verdicts. Knows no picture."""

from labcore.measure.record import (
    CONTROL,
    REQUEST_COLUMNS,
    SAMPLE_COLUMNS,
    SCHEMA_VERSION,
    Design,
    RunRow,
)
from labcore.measure.recording import Recording
from labcore.measure.verdict import Verdict

__all__ = [
    "CONTROL",
    "REQUEST_COLUMNS",
    "SAMPLE_COLUMNS",
    "SCHEMA_VERSION",
    "Design",
    "Recording",
    "RunRow",
    "Verdict",
]
