"""What a scenario is: an HTTP contract, a load shape, conformance checks, and its lanes.

Everything here is frozen data and protocols. It decides how a service announces itself and what it
is handed when it starts; how processes are launched is `labcore.lanes.launch`, how a lane works
inside is nobody's business but the lane's.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from starlette.types import ASGIApp

from labcore.kernel import UsageError

Value = bool | int | float | str
StreamKind = Literal["sse", "websocket"]
Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One knob of a scenario: its default fixes its type, its range is inclusive."""

    name: str
    default: Value
    unit: str
    help: str
    low: float | None = None
    high: float | None = None

    def check(self, raw: Value) -> Value:
        """The value in this parameter's type. Raises: UsageError naming value and range."""
        value = self._convert(raw)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            below = self.low is not None and value < self.low
            above = self.high is not None and value > self.high
            if below or above or value != value:  # noqa: PLR0124 - NaN differs from itself
                raise UsageError(f"{self.name}={raw!r} is out of range: {self.range_text()}")
        return value

    def range_text(self) -> str:
        """The allowed values in words, for messages and `--help`."""
        low = "-inf" if self.low is None else f"{self.low:g}"
        high = "inf" if self.high is None else f"{self.high:g}"
        return f"{type(self.default).__name__} from {low} to {high} {self.unit}".rstrip()

    def _convert(self, raw: Value) -> Value:
        kind = type(self.default)
        try:
            if kind is bool and isinstance(raw, str):
                return {"true": True, "1": True, "false": False, "0": False}[raw.lower()]
            if kind is int and isinstance(raw, float):
                return int(str(raw).removesuffix(".0"))  # 2.0 is a whole number, 2.5 is not
            return kind(raw)
        except (ValueError, KeyError, OverflowError) as exc:
            raise UsageError(f"{self.name}={raw!r} is not {self.range_text()}") from exc


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request of a workload, complete: the driver adds only `Host`."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Workload(Protocol):
    """Where the requests of a run come from, and what their answers mean."""

    def requests(self, *, seed: int, count: int, parameters: Values) -> Sequence[Request]:
        """`count` requests, the same for the same seed and parameters."""
        ...

    def outcome(self, status: int) -> str:
        """The contract's word for a status: `ok`, or a name such as `declined`, `shed`, `failed`.

        `ok` and the names in `answered` are correct answers; everything else is an error.
        """
        ...

    @property
    def answered(self) -> frozenset[str]:
        """Outcomes that are correct answers of a healthy service (`ok`, `declined`, …)."""
        ...


@dataclass(frozen=True, slots=True)
class Audience:
    """Who listens to a stream while a load runs against the same service.

    Events are JSON objects whose member `published_ns` is the monotonic time, in nanoseconds, at which
    the service published them; `id`, or the server-sent event's own, is a place in the stream.
    """

    path: str
    subscribers: int
    kind: StreamKind = "sse"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # may hold a token
    opening: str = ""  # the first message of a WebSocket's client, if it has to say something


@dataclass(frozen=True, slots=True)
class ServiceSetting:
    """What a service process is told when it starts. Holds a secret (the URL): never logged."""

    lane: str
    parameters: Values
    database_url: str | None = field(default=None, repr=False)
    peers: Mapping[str, str] = field(default_factory=dict)


def no_gauges() -> Mapping[str, float]:
    """The gauges of a service that has none."""
    return {}


async def nothing_to_end() -> None:
    """The stream ending of a service without streams."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a service's `build(setting)` returns.

    `gauges` is called ten times a second from a sampling thread: cheap, thread-safe, no I/O. Names
    that the charts and the bottleneck finder know: `worker_pool_{size,busy,queued}`,
    `db_pool_{size,busy,waiting}`, `downstream_in_flight`, `in_flight`, `virtual_threads`, `tasks`.
    `end_streams` is awaited before the HTTP server is asked to stop: uvicorn never tells a stream.
    """

    app: ASGIApp
    gauges: Callable[[], Mapping[str, float]] = no_gauges
    end_streams: Callable[[], Awaitable[None]] = nothing_to_end


@dataclass(frozen=True, slots=True)
class Lane:
    """One implementation of a scenario. `target` is `module:function`, a `build(ServiceSetting)`."""

    name: str
    title: str
    waiting: str
    java: str
    target: str


@dataclass(frozen=True, slots=True)
class ForeignLane:
    """A lane of the user's: a running service's URL, or a command with `{port}` that starts one."""

    name: str
    url: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """A service every lane talks to: one implementation, never measured. Its URL goes by `name`."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Site:
    """A deployed scenario as a conformance check sees it.

    `restart` kills the server with SIGKILL and starts it anew on the same database; it is None for a
    service we did not start, and such checks are then reported as not applicable.
    """

    url: str
    peers: Mapping[str, str]
    parameters: Values
    database_url: str | None = field(default=None, repr=False)
    restart: Callable[[], str] | None = None


class Check(Protocol):
    """One fact of the contract, judged from outside. Raises: AssertionError with expected and actual."""

    __name__: str
    __doc__: str | None

    def __call__(self, site: Site) -> None:
        """Judge the site."""
        ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """The index card of a service: contract, lanes, peers, database, workload, checks.

    A scenario of streams has an `audience`: asked with the service's URL and the parameters when a run
    begins, it says who listens; None is nobody.
    """

    name: str
    title: str
    question: str
    lanes: tuple[Lane, ...]
    baseline: str
    workload: Workload
    parameters: tuple[Parameter, ...] = ()
    peers: tuple[Peer, ...] = ()
    prepare: Callable[[str, Values], None] | None = None
    checks: tuple[Check, ...] = ()
    notebook: str = ""
    audience: Callable[[str, Values], Audience | None] | None = None

    def lane(self, name: str) -> Lane:
        """The lane of that name. Raises: UsageError listing the lanes there are."""
        for lane in self.lanes:
            if lane.name == name:
                return lane
        known = ", ".join(lane.name for lane in self.lanes)
        raise UsageError(f"scenario {self.name!r} has no lane {name!r}; it has: {known}")

    def values(self, given: Values | None = None) -> dict[str, Value]:
        """All parameters, defaults filled in. Raises: UsageError for unknown names or bad values."""
        known = {parameter.name: parameter for parameter in self.parameters}
        given = given or {}
        strangers = sorted(set(given) - set(known))
        if strangers:
            raise UsageError(
                f"scenario {self.name!r} has no parameter {strangers[0]!r}; it has: {_listed(known)}"
            )
        return {
            name: parameter.check(given.get(name, parameter.default))
            for name, parameter in known.items()
        }


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
