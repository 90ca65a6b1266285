"""Sizes, sleeps and stray words: what no reviewer should have to look for."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 800
LONGEST_CELL = 25


def tracked(*patterns: str) -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def matches(pattern: str, paths: list[Path]) -> list[str]:
    regex = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if regex.search(line)
    ]


def test_no_file_is_longer_than_one_sitting():
    sizes = {path: len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {str(path): size for path, size in sizes.items() if size > LONGEST_FILE} == {}


def test_no_test_sleeps_to_hide_a_race():
    """A turn of the loop, time that is virtual, and what a simulated service waits are no such thing."""
    others = [
        path
        for path in tracked("tests/*.py")
        if path != Path(__file__) and "reactive/testing" not in str(path)
    ]
    found = matches(r"\b(time|asyncio|anyio)\.sleep\((?!0\))", others)
    virtual = {
        str(path.relative_to(ROOT)) for path in others if "VirtualTime.run(" in path.read_text()
    }
    allowed = [
        line
        for line in found
        if (line.endswith("# simulated time") and line.split(":")[0] in virtual)
        or line.endswith("# simulated work")
    ]
    assert [line for line in found if line not in allowed] == []


def test_no_check_is_switched_off_without_a_reason():
    paths = [
        path
        for path in tracked("labcore/*.py", "servers/*.py", "tests/*.py")
        if path != Path(__file__)
    ]
    assert matches(r"# type: ignore(?!\[)", paths) == []
    assert matches(r"# (type: ignore\[[^]]*\]|noqa: [A-Z0-9, ]+)\s*$", paths) == []


def test_notebooks_are_stripped_and_their_cells_short():
    faults = []
    for path in tracked("notebooks/*.ipynb"):
        for number, cell in enumerate(json.loads(path.read_text())["cells"]):
            if cell["cell_type"] != "code":
                continue
            if cell.get("outputs") or cell.get("execution_count"):
                faults.append(f"{path.name}: cell {number} has outputs")
            if len("".join(cell["source"]).splitlines()) > LONGEST_CELL:
                faults.append(f"{path.name}: cell {number} is longer than {LONGEST_CELL} lines")
    assert faults == []
