"""Floor 5: what makes a reader practise: models to play with, exercises, predictions.

The simulated models load on first use: a checking process starts for every answer, and needs no tables.
"""

from typing import TYPE_CHECKING, Any

from labcore.learn.cells import renew_cells
from labcore.learn.chapters import run_chapter
from labcore.learn.checking import check, next_hint
from labcore.learn.exercise import (
    EXERCISES,
    Exercise,
    Solution,
    Solutions,
    catalogue,
    exercise,
    solution,
    solutions,
)
from labcore.learn.journal import Journal
from labcore.learn.predictions import Prediction, Score, predict
from labcore.learn.progress import Progress, Standing, progress
from labcore.learn.result import CheckResult, Hint, Status

if TYPE_CHECKING:
    from labcore.learn.retry_storm import Defence, Weather, storm

__all__ = [
    "EXERCISES",
    "CheckResult",
    "Defence",
    "Exercise",
    "Hint",
    "Journal",
    "Prediction",
    "Progress",
    "Score",
    "Solution",
    "Solutions",
    "Standing",
    "Status",
    "Weather",
    "catalogue",
    "check",
    "exercise",
    "next_hint",
    "predict",
    "progress",
    "renew_cells",
    "run_chapter",
    "solution",
    "solutions",
    "storm",
]


def __getattr__(name: str) -> Any:
    """A model, imported when it is first asked for (PEP 562)."""
    if name in {"Defence", "Weather", "storm"}:
        from labcore.learn import retry_storm

        return getattr(retry_storm, name)
    raise AttributeError(f"module 'labcore.learn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
