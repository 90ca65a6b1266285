"""The Python faces: the command line's verbs as calls, and what they return."""

from labcore.faces.health import doctor
from labcore.faces.result import RESULT_MIME, Result, load_run, plain
from labcore.faces.study import Study, chapter
from labcore.faces.verbs import compare, compare_async, conform, look_async, panel, serve

__all__ = [
    "RESULT_MIME",
    "Result",
    "Study",
    "chapter",
    "compare",
    "compare_async",
    "conform",
    "doctor",
    "load_run",
    "look_async",
    "panel",
    "plain",
    "serve",
]
