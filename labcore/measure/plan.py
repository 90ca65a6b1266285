"""What a load driver is asked for and what it hands back: frozen values, plain enough for a pipe."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from labcore.kernel import UsageError
from labcore.lanes import Request, Values
from labcore.measure import arrivals as draw
from labcore.measure.arrivals import Arrivals
from labcore.measure.connections import Limits

Model = Literal["open", "closed, ceiling only"]


@dataclass(frozen=True, slots=True)
class Users:
    """A closed load: ceiling only. So many users, each pausing `think_s` between answer and request."""

    concurrency: int
    think_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One load, complete: two drivers given equal plans send equal requests at equal offsets.

    Requests come from a scenario's workload, or are literal and repeat from the first.

    Raises: UsageError unless there is exactly one source of requests, and for negative seconds.
    """

    url: str
    requests_path: Path  # where the record goes, one row a request
    rate_per_s: float
    duration_s: float
    warmup_s: float = 0.0
    seed: int = 0
    arrivals: str | Arrivals = "poisson"  # a name known to `arrivals.schedule`, or a schedule
    scenario: str | None = None
    parameters: Values = field(default_factory=dict)
    requests: tuple[Request, ...] = ()
    users: Users | None = None  # instead of arrivals: a closed load, ceiling only
    limits: Limits = field(default_factory=Limits)
    sample_bodies: int = 0
    cpus: frozenset[int] | None = None  # the cores of the driver process

    def __post_init__(self) -> None:
        if (self.scenario is None) == (not self.requests):
            raise UsageError(
                "a load takes its requests from a scenario or from a list; give one of both"
            )
        if not self.warmup_s >= 0 or self.sample_bodies < 0:
            raise UsageError(
                f"warmup_s={self.warmup_s}, sample_bodies={self.sample_bodies}; give 0 or more"
            )

    @property
    def model(self) -> Model:
        """Open, or closed with its warning."""
        return "open" if self.users is None else "closed, ceiling only"

    def window(self) -> Arrivals:
        """The schedule of the recorded window. Raises: UsageError as `arrivals.schedule`."""
        if isinstance(self.arrivals, Arrivals):
            return self.arrivals
        return draw.schedule(
            self.arrivals, rate_per_s=self.rate_per_s, duration_s=self.duration_s, seed=self.seed
        )

    def lead_in(self) -> Arrivals:
        """The schedule of the warm-up. Raises: UsageError as `arrivals.warmup`."""
        shape = self.arrivals.kind if isinstance(self.arrivals, Arrivals) else self.arrivals
        return draw.warmup(
            shape, rate_per_s=self.rate_per_s, duration_s=self.warmup_s, seed=self.seed
        )

    def setting(self) -> dict[str, Any]:
        """The plan as JSON values; `from_setting` is the way back."""
        schedule = self.arrivals
        if isinstance(schedule, Arrivals):
            schedule_value: Any = {
                "kind": schedule.kind,
                "duration_s": schedule.duration_s,
                "offsets_ns": schedule.offsets_ns.tolist(),
            }
        else:
            schedule_value = schedule
        return {
            "url": self.url,
            "requests_path": str(self.requests_path.absolute()),
            "rate_per_s": self.rate_per_s,
            "duration_s": self.duration_s,
            "warmup_s": self.warmup_s,
            "seed": self.seed,
            "arrivals": schedule_value,
            "scenario": self.scenario,
            "parameters": dict(self.parameters),
            "requests": [
                [request.method, request.path, request.headers, _text(request.body)]
                for request in self.requests
            ],
            "users": None if self.users is None else asdict(self.users),
            "limits": asdict(self.limits),
            "sample_bodies": self.sample_bodies,
        }

    @classmethod
    def from_setting(cls, setting: Mapping[str, Any]) -> Self:
        """The plan a parent sent. Raises: UsageError for values that make no plan."""
        schedule = setting["arrivals"]
        if not isinstance(schedule, str):
            offsets = np.array(schedule["offsets_ns"], dtype=np.int64)
            schedule = Arrivals(schedule["kind"], schedule["duration_s"], offsets)
        requests = tuple(
            Request(method, path, tuple((name, value) for name, value in headers), _bytes(body))
            for method, path, headers, body in setting["requests"]
        )
        changed = {
            "requests_path": Path(setting["requests_path"]),
            "arrivals": schedule,
            "requests": requests,
            "users": None if setting["users"] is None else Users(**setting["users"]),
            "limits": Limits(**setting["limits"]),
        }
        return cls(**{**setting, **changed})


@dataclass(frozen=True, slots=True)
class Progress:
    """How a load is going, ten times a second. Counts are of the recorded window, from its start."""

    at_s: float  # since the recorded window began
    sent: int
    done: int
    in_flight: int  # of warm-up and window together
    outcomes: Mapping[str, int]
    p50_ms: float  # of what ended since the last report; NaN when nothing did
    p99_ms: float


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a driver says about its load; the requests themselves are in `requests_path`.

    Shares are 0..1; NaN where nothing was sent or the platform cannot say.
    """

    requests_path: Path
    model: Model
    stopped: bool  # ended by a stop: what was under way is recorded as unfinished
    started_ns: int  # monotonic, first intended start of the window; 0 when the window was empty
    finished_ns: int  # monotonic, end of the last request
    requests: int
    outcomes: Mapping[str, int]
    lateness_p50_us: float  # woke - intended
    lateness_p99_us: float
    lateness_max_us: float
    connection_wait_p99_ms: float  # sent - woke, of the requests that were sent
    connections: int  # distinct ones that carried a recorded request
    connect_failures: int
    cpu_share: float  # of one core, this driver's
    cpu_per_request_us: float
    run_delay_share: float
    gc_pause_ms: float
    gc_pause_max_ms: float
    gc_collections: int
    others_cpu_share: float  # of the whole machine: everybody but the driver, the server included
    steal_share: float
    wall_s: float  # the window these shares refer to
    bodies: Mapping[str, str] = field(default_factory=dict)  # row in the record -> sampled body


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
