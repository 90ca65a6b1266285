"""What each carrier, thread and task did during one chosen request: a recorder of spans.

It is off unless a process was started with tracing allowed, and every hook then asks one attribute and
does no more. Allowed, it records only work that runs within `traced(…)`, found through a context
variable, which tasks, pool threads and virtual threads inherit. Hooks live where lanes wait; who draws
the spans is no business of this file.
"""

import contextvars
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self, final, get_args

from labcore.kernel.errors import UsageError

Kind = Literal["running", "waiting", "queued"]
PARKED: Final = "parked"
FOR_A_WORKER: Final = "waiting for its worker"
FOR_FORKS: Final = "waiting for forks"
HANDED_OVER: Final = frozenset({PARKED, FOR_A_WORKER, FOR_FORKS})  # other spans say for what
MOST_SPANS: Final = 10_000  # of one trace; what comes later is counted and not kept


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted. Times are nanoseconds of the monotonic clock.

    `on` names the operating system's thread that it kept busy or blocked; empty where nobody was.
    """

    what: str
    who: str  # the thread, virtual thread or task
    kind: Kind
    start_ns: int
    end_ns: int
    on: str = ""


@final
class Trace:
    """The spans of one request. Spans may be added from any thread."""

    def __init__(self, name: str, *, most: int = MOST_SPANS) -> None:
        self.name = name
        self.dropped = 0
        self._most = most
        self._spans: list[Span] = []
        self._lock = threading.Lock()

    @property
    def spans(self) -> tuple[Span, ...]:
        """In the order of their starts, the longer of two before the shorter."""
        with self._lock:
            return tuple(sorted(self._spans, key=lambda span: (span.start_ns, -span.end_ns)))

    def add(
        self, what: str, *, who: str, kind: Kind, start_ns: int, end_ns: int, on: str = ""
    ) -> None:
        """Record a span that is over."""
        with self._lock:
            if len(self._spans) < self._most:
                self._spans.append(Span(what, who, kind, start_ns, end_ns, on))
            else:
                self.dropped += 1

    @contextmanager
    def span(self, what: str, *, who: str, kind: Kind, on: str = "") -> Iterator[None]:
        """Record the block, however it ends."""
        start_ns = time.monotonic_ns()
        try:
            yield
        finally:
            self.add(what, who=who, kind=kind, start_ns=start_ns, end_ns=time.monotonic_ns(), on=on)

    def as_json(self) -> dict[str, Any]:
        """A document that `from_json` reads."""
        spans = [asdict(span) for span in self.spans]
        return {"name": self.name, "dropped": self.dropped, "spans": spans}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The trace of a document. Raises: UsageError when it is none."""
        try:
            trace = cls(str(document["name"]))
            trace._spans = [Span(**span) for span in document["spans"]]
            trace.dropped = int(document["dropped"])
        except (KeyError, TypeError, ValueError) as exc:
            raise UsageError(f"not a trace: {exc}; give what `Trace.as_json` returned") from exc
        strange = {span.kind for span in trace._spans} - set(get_args(Kind))
        if strange:
            raise UsageError(f"spans of kind {sorted(strange)}; there are: {get_args(Kind)}")
        return trace


class _Switch:
    """Whether this process may trace at all. Set once, before anything is built that has hooks."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = False


TRACING: Final = _Switch()
_current: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)


def current_trace() -> Trace | None:
    """The trace that the work under way belongs to; None for all other work."""
    return _current.get()


def trace_in(context: contextvars.Context | None) -> Trace | None:
    """The trace that this context carries."""
    return None if context is None else context.get(_current)


@contextmanager
def traced(trace: Trace) -> Iterator[Trace]:
    """Record what the block does, and whatever it starts, into `trace`.

    Raises: UsageError where tracing is not allowed: the hooks would stay silent.
    """
    if not TRACING.on:
        raise UsageError("this process does not trace; set TRACING.on before building the service")
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
