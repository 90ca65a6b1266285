"""The README's commands exist, and it is short enough to be read."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"```(?:console|sh|bash)\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line and not line.startswith("#")]


def test_the_readme_is_at_most_150_lines():
    assert len(README.splitlines()) <= 150


def test_every_make_target_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {command.split()[1] for command in commands() if command.startswith("make ")}
    assert {"compare", "test", "lab"} <= targets
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()


def test_every_labcore_verb_and_option_of_the_readme_exists():
    for command in commands():
        words = command.split()
        if words[0] != "labcore":
            continue
        help_text = subprocess.run(
            [sys.executable, "-m", "labcore", words[1], "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "200", "PATH": "/usr/bin:/bin", "TERM": "dumb"},
        ).stdout
        for option in re.findall(r"(?<=\s)--[a-z]+", command):
            assert option in help_text, f"{option} of: {command}"


def test_every_file_the_readme_links_to_exists():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
