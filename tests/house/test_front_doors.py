"""A room's `__all__` is true; nobody reaches past a front door."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import labcore

ROOT = Path(__file__).parents[2]
ROOMS = sorted(
    f"labcore.{module.name}" for module in pkgutil.iter_modules(labcore.__path__) if module.ispkg
)
# What other rooms may import by file: data that every floor above passes around.
OPEN_FILES = {
    "labcore.lanes.contract",
    "labcore.protocols.sse",  # a protocol is a door of its own: two of them may have a `Decoder`
    "labcore.protocols.tokens",
    "labcore.protocols.webhook",
    "labcore.protocols.websocket",
    "labcore.stores.event_log",
    "labcore.reactive.testing",
    "labcore.reactive.tck",
    "labcore.show.widgets",  # kept apart, so that the command line does not load ipywidgets
}


@pytest.mark.parametrize("room", ["labcore", *ROOMS])
def test_every_name_of_the_front_door_is_there_once(room: str):
    """Their order is ruff's to check."""
    module = importlib.import_module(room)
    names = list(getattr(module, "__all__", []))
    assert names
    assert len(names) == len(set(names))
    missing = [name for name in names if not hasattr(module, name)]
    assert missing == []


def imports_of(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0
    ]


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_rooms_are_entered_by_their_front_door():
    trespassers = []
    for package in ("labcore", "servers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            own = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
            for module in imports_of(path):
                if not module.startswith("labcore.") or room_of(module) == own:
                    continue
                past_the_door = module.count(".") > 1 and module not in OPEN_FILES
                if past_the_door:
                    trespassers.append(f"{path.relative_to(ROOT)} imports {module}")
    assert trespassers == []


def test_a_server_process_does_not_carry_the_charts_libraries():
    """`import labcore` and the floors a service may use stay free of what only pictures need."""
    program = (
        "import sys, labcore, labcore.lanes, labcore.stores, labcore.virtual, labcore.reactive;"
        "print([m for m in ('matplotlib', 'pandas', 'ipywidgets', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
