"""The rules know no clock, no loop and no thread."""

import ast
from pathlib import Path

import pytest

from labcore import resilience

ROOM = Path(resilience.__file__).parent
PURE = (
    *("backoff", "breaker", "budget", "bulkhead", "dictionary", "errors", "events", "limiter"),
    *("passage", "retry", "windows"),
)
IMPURE = {"anyio", "asyncio", "socket", "threading", "time"}


@pytest.mark.parametrize("name", PURE)
def test_a_rule_imports_nothing_that_waits(name: str):
    tree = ast.parse((ROOM / f"{name}.py").read_text(encoding="utf-8"))
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    assert imported & IMPURE == set()


def test_every_file_is_a_rule_or_a_face():
    faces = {"__init__", "fallback", "gates", "policies", "retrying", "stream", "time_limiter"}
    assert {path.stem for path in ROOM.glob("*.py")} == {*PURE, *faces, "waiting"}
