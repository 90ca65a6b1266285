"""Floor 0: clock, errors, trace, ids, config. Knows nothing of the rest of the house."""

from labcore.kernel.clock import Clock, ManualClock, SystemClock, utc_now
from labcore.kernel.config import (
    DATABASE_URL_VARIABLE,
    cache_dir,
    data_dir,
    database_url,
    runs_dir,
)
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
from labcore.kernel.trace import (
    FOR_A_WORKER,
    FOR_FORKS,
    HANDED_OVER,
    PARKED,
    TRACING,
    Kind,
    Span,
    Trace,
    current_trace,
    trace_in,
    traced,
)

__all__ = [
    "DATABASE_URL_VARIABLE",
    "FOR_A_WORKER",
    "FOR_FORKS",
    "HANDED_OVER",
    "PARKED",
    "TRACING",
    "Clock",
    "EnvironmentFault",
    "InterruptedRunError",
    "Kind",
    "LabError",
    "ManualClock",
    "PeerError",
    "RefusedError",
    "Span",
    "SystemClock",
    "Trace",
    "UsageError",
    "VoidRunError",
    "cache_dir",
    "current_trace",
    "data_dir",
    "database_url",
    "new_id",
    "new_run_id",
    "runs_dir",
    "trace_in",
    "traced",
    "utc_now",
]
