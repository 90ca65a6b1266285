"""conda's list, pip's list and the pinned versions name one and the same set."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONDA_ONLY = {"python", "pip"}
CONDA_SPLITS = {"psycopg": {"psycopg", "psycopg-pool"}}  # an extra is a package of its own there


def bare(requirement: str) -> str:
    return re.split(r"[\[<>=;! ]", requirement.strip())[0].lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {bare(line) for line in project["dependencies"]}


def conda() -> set[str]:
    lines = (ROOT / "environment.yml").read_text().splitlines()
    items = {bare(line.strip()[2:]) for line in lines if line.strip().startswith("- ")}
    return items - CONDA_ONLY - {"conda-forge", "nodefaults", "-e", "pip:"}


def test_environment_and_project_name_the_same_packages():
    expected = set().union(*(CONDA_SPLITS.get(name, {name}) for name in declared()))
    assert conda() == expected


def test_every_dependency_is_pinned():
    pins = {bare(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert declared() <= pins


def test_the_constraints_name_no_index():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert "--" not in text


def test_every_dependency_carries_its_reason():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    inside = False
    bare_lines = []
    for line in lines:
        if line.startswith(("dependencies = [", "dev = [", "benchmarks = [", "cluster = [")):
            inside = True
        elif line.startswith("]"):
            inside = False
        elif inside and line.strip().startswith('"') and "  #" not in line and " # " not in line:
            bare_lines.append(line.strip())
    assert bare_lines == []
