"""Floor 5: what makes a reader practise: models to play with, exercises, predictions."""

from labcore.learn.checking import check, next_hint
from labcore.learn.exercise import EXERCISES, Exercise, Solution, catalogue, exercise, solution
from labcore.learn.journal import Journal
from labcore.learn.result import CheckResult, Hint, Status
from labcore.learn.storm import Defence, Weather, storm

__all__ = [
    "EXERCISES",
    "CheckResult",
    "Defence",
    "Exercise",
    "Hint",
    "Journal",
    "Solution",
    "Status",
    "Weather",
    "catalogue",
    "check",
    "exercise",
    "next_hint",
    "solution",
    "storm",
]
