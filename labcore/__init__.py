"""The concurrency workbench: one service, several concurrency models, honest measurements.

The public faces are re-exported here on first use: a measured server imports `labcore` too, and must
not carry the charts' libraries in its memory. The rooms behind them stand on floors, each importing
only from the floors below it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labcore.faces import (
        RESULT_MIME,
        CapacitySearch,
        CrossoverMap,
        Result,
        Study,
        capacity,
        capacity_async,
        chapter,
        compare,
        compare_async,
        conform,
        crossover,
        crossover_async,
        doctor,
        export,
        load_run,
        look_async,
        panel,
        resume,
        resume_async,
        resume_sweep,
        serve,
        sweep,
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
    "resume",
    "resume_async",
    "resume_sweep",
    "serve",
    "sweep",
    "trace_async",
]


def __getattr__(name: str) -> Any:
    """A face, imported when it is first asked for (PEP 562)."""
    if name in __all__:
        from labcore import faces

        return getattr(faces, name)
    raise AttributeError(f"module 'labcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
