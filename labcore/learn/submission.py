"""What a learner hands in, as text that another process can run: a file, or a function of a notebook.

A function travels as its own source together with what it takes from its module: imports, other
functions and classes defined there, plain constants. Nothing else of the notebook is run again.
"""

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from labcore.kernel import UsageError
from labcore.learn.exercise import Exercise


@dataclass(frozen=True, slots=True)
class Piece:
    """Source and the number of its first line where the learner sees it."""

    source: str
    first_line: int = 1
    own: bool = True  # lines of other cells are not the learner's place to look


@dataclass(frozen=True, slots=True)
class Submission:
    """Pieces to run in order, and the function among them that is checked."""

    pieces: tuple[Piece, ...]
    entry: str
    left_behind: tuple[str, ...] = ()  # names whose values cannot travel as text

    def as_json(self) -> dict[str, Any]:
        """For the journey to the checking process."""
        return asdict(self)


def submission(answer: Callable[..., Any] | str, task: Exercise) -> Submission:
    """What is to be checked.

    Raises:
        UsageError: a function without a readable source, or something that is no function.
    """
    if isinstance(answer, str):
        return Submission((Piece(answer),), task.entry)
    if not isinstance(answer, types.FunctionType):
        raise UsageError(f"check got {answer!r:.60}; give the function, or its source as text")
    luggage = _Luggage()
    pieces = tuple(luggage.pack(answer))
    return Submission(pieces, answer.__name__, tuple(luggage.left_behind))


def syntax_error(handed_in: Submission) -> SyntaxError | None:
    """The first piece that is no Python."""
    for piece in handed_in.pieces:
        try:
            ast.parse(piece.source)
        except SyntaxError as exc:
            exc.lineno = (exc.lineno or 1) + piece.first_line - 1
            return exc
    return None


def untouched(handed_in: Submission, task: Exercise) -> bool:
    """Whether the checked function is still the stub's; docstrings and layout do not count."""
    given = _body(handed_in.pieces[-1].source, handed_in.entry)
    return given is not None and given == _body(task.stub, task.entry)


def _body(source: str, name: str) -> list[str] | None:
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            documented = ast.get_docstring(node) is not None
            return [ast.dump(statement) for statement in node.body[documented:]]
    return None


class _Luggage:
    """Packs a function with what it names, each name once."""

    def __init__(self) -> None:
        self.left_behind: list[str] = []
        self._seen: set[str] = set()

    def pack(self, function: Any) -> Iterator[Piece]:
        """What the function or class needs, and then itself.

        Raises:
            UsageError: it has no readable source.
        """
        self._seen.add(function.__name__)
        try:
            lines, first_line = inspect.getsourcelines(function)
        except (OSError, TypeError) as exc:
            raise UsageError(
                f"the source of {function.__name__!r} cannot be read here; give check its text"
            ) from exc
        source = textwrap.dedent("".join(lines))
        scope = getattr(function, "__globals__", None) or vars(sys.modules[function.__module__])
        for name in sorted(_names(source) & set(scope) - self._seen):
            self._seen.add(name)
            yield from self._pack_value(name, scope[name], home=function.__module__)
        yield Piece(source, first_line)

    def _pack_value(self, name: str, value: Any, *, home: str) -> Iterator[Piece]:
        origin, own_name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
        if isinstance(value, types.ModuleType):
            yield Piece(f"import {value.__name__} as {name}", own=False)
        elif origin == home and isinstance(value, types.FunctionType | type):
            yield from (replace(piece, own=False) for piece in self.pack(value))
        elif origin and own_name.isidentifier():
            yield Piece(f"from {origin} import {own_name} as {name}", own=False)
        elif _is_plain(value):
            yield Piece(f"{name} = {value!r}", own=False)
        else:
            self.left_behind.append(name)


def _is_plain(value: Any) -> bool:
    """Whether its text gives it back."""
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


def _names(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
