"""The Python faces: the command line's verbs as calls, and what they return."""

from labcore.faces.exporting import export
from labcore.faces.health import doctor
from labcore.faces.result import RESULT_MIME, Result, plain
from labcore.faces.searches import CapacitySearch, CrossoverMap, load_run
from labcore.faces.study import Study, chapter
from labcore.faces.sweeps import resume_sweep, sweep
from labcore.faces.verbs import (
    capacity,
    capacity_async,
    compare,
    compare_async,
    conform,
    crossover,
    crossover_async,
    look_async,
    panel,
    resume,
    resume_async,
    serve,
    trace_async,
)

__all__ = [
    "RESULT_MIME",
    "CapacitySearch",
    "CrossoverMap",
    "Result",
    "Study",
    "capacity",
    "capacity_async",
    "chapter",
    "compare",
    "compare_async",
    "conform",
    "crossover",
    "crossover_async",
    "doctor",
    "export",
    "load_run",
    "look_async",
    "panel",
    "plain",
    "resume",
    "resume_async",
    "resume_sweep",
    "serve",
    "sweep",
    "trace_async",
]
