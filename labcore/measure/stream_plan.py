"""What subscribers are asked for, and what they say afterwards: plain data, as `plan` is for a load."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labcore.kernel import UsageError
from labcore.lanes import StreamKind


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """So many subscribers to one stream, for so long or, without a time, until they are told to end.

    Events are JSON objects; the member `published_ns` is the publisher's monotonic time in nanoseconds,
    `id` (for SSE the event's own id) its place in the stream. Raises: UsageError for impossible numbers.
    """

    url: str
    requests_path: Path  # where the record goes, one row an event and subscriber
    subscribers: int
    duration_s: float | None
    kind: StreamKind = "sse"
    headers: tuple[tuple[str, str], ...] = ()
    opening: str = ""  # the first message of a WebSocket's client, if it has to say something
    cpus: frozenset[int] | None = None  # the cores of the driver process

    def __post_init__(self) -> None:
        if self.subscribers < 1 or (self.duration_s is not None and not self.duration_s > 0):
            raise UsageError(
                f"subscribers={self.subscribers}, duration_s={self.duration_s}; give more than 0"
            )
        if self.kind not in {"sse", "websocket"}:
            raise UsageError(f"kind={self.kind!r}; give sse or websocket")

    def setting(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {**asdict(self), "requests_path": str(self.requests_path.absolute()), "cpus": None}

    @classmethod
    def from_setting(cls, setting: Mapping[str, Any]) -> "StreamPlan":
        """The plan a parent sent."""
        headers = tuple((name, value) for name, value in setting["headers"])
        path = Path(setting["requests_path"])
        return cls(**{**setting, "requests_path": path, "headers": headers})


@dataclass(frozen=True, slots=True)
class StreamResult:
    """What the subscribers saw. Shares are 0..1; NaN where there is nothing to tell."""

    requests_path: Path
    connected: int
    connect_failures: int
    ended: int  # streams that the server ended before the time was over
    events: int  # received, by all together
    repeated: int  # ids that a subscriber had seen before
    missing: int  # gaps in the ids that a subscriber saw; conflation makes them on purpose
    delay_p50_ms: float
    delay_p99_ms: float
    delay_max_ms: float
    cpu_share: float  # of one core, this driver's
    run_delay_share: float
    gc_pause_ms: float
    wall_s: float
    outcomes: Mapping[str, int] = field(default_factory=dict)  # of the connections
