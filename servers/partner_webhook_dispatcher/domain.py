"""What a partner, an event and a delivery are, and what becomes of a delivery. No I/O, no clock, no dice.

pending ──claimed, attempted──▶ delivered          2xx
   ▲  │                    ├──▶ pending, later     anything else, while the schedule lasts
   │  └─claimed, put off───┘                       a policy said no: not an attempt
   │                       └──▶ dead               gave up, gone (410), disabled for too long
   └──────replayed──────────────dead
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

from labcore.protocols.webhook import FullJitter, Next, Secret, after_attempt, signed_headers

DEFAULT_PUT_OFF_S: Final = 1.0  # where a refusal does not say when to come again
LEAST_PUT_OFF_S: Final = 0.05


class State(Enum):
    """Whether an endpoint is delivered to."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # it failed for too long; a probe now and then, until one succeeds
    GONE = "gone"  # it answered 410, and wants no more


class Status(Enum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class NewPartner:
    """An endpoint to be registered. `types` empty: every event; 0 in `rate_per_s`: no limit."""

    id: str
    url: str
    types: tuple[str, ...]
    ordered: bool
    rate_per_s: float
    places: int
    timeout_s: float
    retry: FullJitter
    secret: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class Partner:
    """What the policies around an endpoint are made of, and how it stands.

    `probe_in_s`: seconds until a disabled endpoint may be tried again.
    """

    id: str
    state: State
    ordered: bool
    rate_per_s: float
    places: int
    probe_in_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it was published. `payload` is what every attempt sends and signs, byte for byte."""

    id: str
    key: str | None
    fingerprint: str
    type: str
    payload: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored event and how many partners it goes to; `fingerprint` is the first one's of its key."""

    id: str
    deliveries: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery in this dispatcher's hand until its lease ends.

    `attempt` is the number of the coming attempt, `tries` the same counted since the last replay.
    """

    id: int
    lease: int
    event_id: str
    partner_id: str
    url: str
    payload: bytes
    attempt: int
    tries: int
    previous_s: float
    timeout_s: float
    retry: FullJitter
    secrets: tuple[Secret, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One signed attempt, ready to be sent."""

    url: str
    body: bytes
    headers: dict[str, str]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended: a status, or what went wrong instead. Milliseconds."""

    status: int | None
    error: str | None
    duration_ms: float
    retry_after_s: float | None = None

    @property
    def blames_endpoint(self) -> bool:
        """Whether a circuit breaker counts it as a failure: no answer, 5xx or 429.

        Another 4xx refuses one delivery; the endpoint works.
        """
        return self.status is None or self.status >= 500 or self.status == 429


@dataclass(frozen=True, slots=True)
class PutOff:
    """A policy let the attempt not happen: try again after so many seconds."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the delivery. `reason` says why it is dead."""

    status: Status
    wait_s: float = 0.0
    reason: str | None = None
    gone: bool = False


def call_of(claimed: Claimed, *, at: datetime) -> Call:
    """The attempt's request, signed at that moment with every secret that is valid."""
    signed = signed_headers(
        claimed.event_id,
        claimed.payload,
        timestamp_s=int(at.timestamp()),
        secrets=claimed.secrets,
    )
    headers = {"Content-Type": "application/json", "User-Agent": "labcore-webhooks/1", **signed}
    return Call(claimed.url, claimed.payload, headers, claimed.timeout_s)


def judge(claimed: Claimed, outcome: Outcome, *, draw: float) -> Verdict:
    """What an attempt's end means for its delivery; `draw` is uniform in 0..1, for the jitter."""
    following, wait_s = after_attempt(
        outcome.status,
        attempt=claimed.tries,
        schedule=claimed.retry,
        previous_s=claimed.previous_s,
        draw=draw,
        retry_after_s=outcome.retry_after_s,
    )
    if following is Next.DELIVERED:
        return Verdict(Status.DELIVERED)
    if following is Next.RETRY:
        return Verdict(Status.PENDING, wait_s)
    if following is Next.GONE:
        return Verdict(Status.DEAD, reason="the endpoint is gone (410)", gone=True)
    last = outcome.error or f"status {outcome.status}"
    return Verdict(Status.DEAD, reason=f"gave up after {claimed.tries} attempts; the last: {last}")


def put_off(refusal: Exception) -> PutOff:
    """When a refused delivery may be tried again: as the refusal says, if it does."""
    wait_s = getattr(refusal, "retry_after_s", None)
    return PutOff(max(LEAST_PUT_OFF_S, DEFAULT_PUT_OFF_S if wait_s is None else float(wait_s)))
