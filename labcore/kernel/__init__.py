"""Floor 0: clock, errors, ids, config. Knows nothing of the rest of the house."""

from labcore.kernel.clock import Clock, ManualClock, SystemClock, utc_now
from labcore.kernel.config import DATABASE_URL_VARIABLE, cache_dir, database_url, runs_dir
from labcore.kernel.errors import (
    EnvironmentFault,
    InterruptedRunError,
    LabError,
    PeerError,
    RefusedError,
    UsageError,
    VoidRunError,
)
from labcore.kernel.ids import new_id, new_run_id

__all__ = [
    "DATABASE_URL_VARIABLE",
    "Clock",
    "EnvironmentFault",
    "InterruptedRunError",
    "LabError",
    "ManualClock",
    "PeerError",
    "RefusedError",
    "SystemClock",
    "UsageError",
    "VoidRunError",
    "cache_dir",
    "database_url",
    "new_id",
    "new_run_id",
    "runs_dir",
    "utc_now",
]
