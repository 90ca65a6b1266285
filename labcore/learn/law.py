"""Laws: what a check demands of an answer, each a sentence and a StepVerifier script (or an assertion).

An exercise's `check.py` holds its laws in the order in which they are tried: the values first, without
regard to time, then time, demand and cancellation. The first law that is broken gives the result.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from labcore.learn.result import Status
from labcore.learn.timeline import Track
from labcore.reactive import UNBOUNDED, Flux, Mono, Publisher, Recording
from labcore.reactive.testing import Script, StepVerifier, Verification

T = TypeVar("T")
Answer = Callable[..., Any]
FREE_S: Final = 60.0  # s of virtual time in which every stream of these exercises has ended


class Finding(AssertionError):  # noqa: N818 - what a check found, not an error of its own
    """A law is broken: what was expected, what was found."""

    def __init__(self, *, expected: str, actual: str) -> None:
        super().__init__(f"expected {expected}, actual {actual}")
        self.expected = expected
        self.actual = actual


class Stage:
    """Where a law is played: remembers what passed at the points that it was told to watch.

    Attributes:
        tracks: What was recorded, in the order of watching.
        right: The stage of the right stream, where `contrast` has set one up.
    """

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.right: Stage | None = None
        self._free: Verification[Any] | None = None

    def verifier(
        self,
        supplier: Callable[[], Publisher[T]],
        initial_request: int = UNBOUNDED,
        *,
        at: Sequence[tuple[float, int]] = (),
    ) -> Script[T]:
        """A StepVerifier script in virtual time, to be written on.

        When the law is broken its stream runs once more without expectations, to be drawn to its end;
        `at` says when that run asks for how many more: `((3.5, 1),)` for one after 3.5 s.
        """
        beginning = StepVerifier.with_virtual_time(supplier, initial_request)
        free, now_s = beginning, 0.0
        for at_s, n in at:
            free, now_s = free.then_await(at_s - now_s).then_request(n), at_s
        self._free = free.then_await(FREE_S).then_cancel()
        return beginning

    def contrast(
        self,
        right: Callable[[], Flux[Any]],
        wrong: Callable[[], Flux[Any]],
        *,
        name: str,
    ) -> None:
        """Draw these two instead of the answer's stream: what was to be told apart, and was not."""
        self.right = model = Stage()
        model.verifier(lambda: model.watch(right(), name=name))
        self.verifier(lambda: self.watch(wrong(), name=name))

    def run_freely(self) -> None:
        """Record the stream of `verifier` anew, for a minute of virtual time."""
        if self._free is None:
            return
        self.tracks.clear()
        with suppress(Exception):  # what is wrong has been told; this is for the picture
            self._free.verify()

    def flux(self, made: Any, *, name: str = "answer") -> Flux[Any]:
        """What the answer returned, recorded. Raises: Finding when it is no Flux."""
        self.expect(isinstance(made, Flux), expected="a Flux", actual=_returned(made))
        watched: Flux[Any] = self.watch(made, name=name)
        return watched

    def mono(self, made: Any, *, name: str = "answer") -> Mono[Any]:
        """What the answer returned, recorded. Raises: Finding when it is no Mono."""
        self.expect(isinstance(made, Mono), expected="a Mono", actual=_returned(made))
        watched: Mono[Any] = self.watch(made, name=name)
        return watched

    def watch(self, stream: Any, *, name: str, demand: bool = False) -> Any:
        """The same stream, its signals recorded under that name; with `demand`, its requests too."""
        recording = Recording(name)
        self.tracks.append(Track(recording, demand))
        return stream.record(recording)

    def expect(self, holds: bool, *, expected: object, actual: object) -> None:
        """An assertion of the law. Raises: Finding."""
        if not holds:
            raise Finding(expected=str(expected), actual=str(actual))


@dataclass(frozen=True, slots=True)
class Law:
    """One demand; `breach` is the word for an answer that breaks it."""

    sentence: str
    play: Callable[[Answer, Stage], None]
    breach: Status = Status.NOT_YET


def law(
    sentence: str, *, breach: Status = Status.NOT_YET
) -> Callable[[Callable[[Answer, Stage], None]], Law]:
    """Make a function a law: `play(answer, stage)` returns, or raises what broke it."""
    return lambda play: Law(sentence, play, breach)


def _returned(made: object) -> str:
    if made is None:
        return "None: is a `return` missing?"
    return f"{type(made).__name__}, {made!r:.60}"


def shown(values: Iterable[object]) -> str:
    """Values for a message, streams by their type alone."""
    texts = (type(v).__name__ if isinstance(v, Flux | Mono) else repr(v) for v in values)
    return f"[{', '.join(texts)}]"
