"""An exercise: a folder of files, found where it lies; its stub is cut from its solution.

    exercises/<chapter>/<name>/
        statement.md   title, *level n · minutes · the term in Reactor or Loom*, what to do
        hints.md       three hints, mildest first, separated by lines of `---`
        solution.py    the truth; `# <answer>` … `# </answer>` is what the learner writes
        check.py       the laws (`labcore.learn.law`)
        wrong_*.py     known wrong answers; the docstring is what somebody who wrote it is told

A new folder is an exercise: nothing is registered anywhere.
"""

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Final

from labcore.kernel import UsageError
from labcore.learn.result import HINT_GRADES, MONOSPACE

EXERCISES: Final = Path(__file__).with_name("exercises")
OPENING, CLOSING = "# <answer>", "# </answer>"
PLACEHOLDER = 'raise NotImplementedError("your code here")'
_LEVEL = re.compile(r"^\*level (\d+) · (.+)\*$", re.MULTILINE)


@dataclass(frozen=True)
class Wrong:
    """A known wrong answer: its name, its source, and the hint for whoever wrote something like it."""

    name: str
    source: str

    @property
    def advice(self) -> str:
        """The docstring as one paragraph."""
        return " ".join((ast.get_docstring(ast.parse(self.source)) or "").split())


@dataclass(frozen=True)
class Solution:
    """A worked solution, folded away until it is opened."""

    exercise: str
    text: str

    def __str__(self) -> str:
        return f"The solution of {self.exercise} is folded; print(solution({self.exercise!r}).text)"

    def _repr_html_(self) -> str:
        return (
            f"<details><summary>Solution of <code>{self.exercise}</code></summary>"
            f'<pre style="{MONOSPACE}">{escape(self.text)}</pre></details>'
        )

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Exercise:
    """One exercise; in a notebook it shows its statement."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name, by which it is checked."""
        return self.folder.name

    @property
    def chapter(self) -> str:
        """`ch01` for the first."""
        return self.folder.parent.name

    @cached_property
    def statement(self) -> str:
        """What to do, Markdown."""
        return (self.folder / "statement.md").read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        """The statement's heading, as plain text."""
        return self.statement.splitlines()[0].lstrip("# ").replace("*", "")

    @property
    def level(self) -> int:
        """1 for the first of a chapter; exercises are listed by it."""
        found = _LEVEL.search(self.statement)
        return int(found[1]) if found else 99

    @property
    def about(self) -> str:
        """Minutes it takes, and the name of the thing in Java."""
        found = _LEVEL.search(self.statement)
        return found[2] if found else ""

    @cached_property
    def marked(self) -> str:
        """The solution with its markers."""
        return (self.folder / "solution.py").read_text(encoding="utf-8")

    @property
    def solution(self) -> Solution:
        """The worked solution."""
        lines = self.marked.splitlines()
        kept = [line for line in lines if line.strip() not in {OPENING, CLOSING}]
        return Solution(self.name, "\n".join(kept) + "\n")

    @property
    def stub(self) -> str:
        """The solution without what the learner writes, as a file of its own.

        Raises:
            UsageError: markers that do not pair.
        """
        return cut(self.marked, where=str(self.folder / "solution.py"))

    @property
    def cell(self) -> str:
        """The stub without its imports, as a notebook's cell: those stand in the import cell."""
        return without_imports(self.stub)

    @property
    def entry(self) -> str:
        """The function that is checked: the last one defined."""
        nodes = ast.parse(self.marked).body
        return [node.name for node in nodes if isinstance(node, ast.FunctionDef)][-1]

    @cached_property
    def hints(self) -> tuple[str, ...]:
        """Three, mildest first."""
        text = (self.folder / "hints.md").read_text(encoding="utf-8")
        return tuple(part.strip() for part in re.split(r"^---$", text, flags=re.MULTILINE))

    @cached_property
    def wrong(self) -> tuple[Wrong, ...]:
        """The known wrong answers, by name."""
        return tuple(
            Wrong(path.stem.removeprefix("wrong_"), path.read_text(encoding="utf-8"))
            for path in sorted(self.folder.glob("wrong_*.py"))
        )

    def faults(self) -> list[str]:
        """What keeps the folder from being an exercise; empty when it is whole."""
        wanted = ("statement.md", "hints.md", "solution.py", "check.py")
        missing = [f"{name} is missing" for name in wanted if not (self.folder / name).is_file()]
        if missing:
            return missing
        found = []
        if len(self.hints) != len(HINT_GRADES):
            found.append(f"hints.md has {len(self.hints)} hints instead of {len(HINT_GRADES)}")
        if self.level == 99:
            found.append("statement.md has no line *level n · minutes · term*")
        if OPENING not in self.marked:
            found.append(f"solution.py has no {OPENING}")
        found += [f"wrong_{one.name}.py has no docstring" for one in self.wrong if not one.advice]
        return found

    def _repr_markdown_(self) -> str:
        return self.statement


@dataclass(frozen=True)
class Solutions:
    """The worked solutions of a chapter, each folded away until it is opened."""

    folded: tuple[Solution, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.folded))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return "".join(one._repr_html_() for one in self.folded)


def catalogue(root: Path = EXERCISES) -> tuple[Exercise, ...]:
    """Every exercise below `root`, by chapter, level and name."""
    found = [Exercise(path.parent) for path in root.glob("*/*/solution.py")]
    return tuple(sorted(found, key=lambda one: (one.chapter, one.level, one.name)))


def exercise(name: str, root: Path = EXERCISES) -> Exercise:
    """The exercise of that name. Raises: UsageError naming those there are."""
    there = {one.name: one for one in catalogue(root)}
    if name not in there:
        raise UsageError(f"no exercise {name!r}; there are: {', '.join(there)}")
    return there[name]


def solution(name: str) -> Solution:
    """The worked solution of an exercise, folded. Raises: UsageError for an unknown name."""
    return exercise(name).solution


def solutions(chapter: str) -> Solutions:
    """The worked solutions of a chapter (`ch01`), folded. Raises: UsageError for an unknown chapter."""
    there = [one for one in catalogue() if one.chapter == chapter]
    if not there:
        known = ", ".join(sorted({one.chapter for one in catalogue()}))
        raise UsageError(f"no exercises of chapter {chapter!r}; there are: {known}")
    return Solutions(tuple(one.solution for one in there))


def without_imports(source: str) -> str:
    """The source from its first function or class on."""
    nodes = ast.parse(source).body
    first = next(node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return "\n".join(source.splitlines()[first.lineno - 1 :]).rstrip()


def cut(marked: str, *, where: str) -> str:
    """The source with a placeholder for each marked region. Raises: UsageError for unpaired markers."""
    kept: list[str] = []
    inside = False
    for line in marked.splitlines():
        mark = line.strip()
        if mark in {OPENING, CLOSING}:
            if inside is (mark == OPENING):
                raise UsageError(f"{where}: {mark!r} comes twice; {OPENING} and {CLOSING} pair")
            inside = mark == OPENING
            if inside:
                kept.append(line[: -len(OPENING)] + PLACEHOLDER)
        elif not inside:
            kept.append(line)
    if inside:
        raise UsageError(f"{where}: a region begins with {OPENING} and has no {CLOSING}")
    return "\n".join(kept) + "\n"
