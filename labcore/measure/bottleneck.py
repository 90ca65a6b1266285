"""What held a run back, with the evidence: one name a run, from what the server said of itself.

Pure. The driver comes first (and voids the run), then whatever stands in front of the work, then
the work itself. A processor at its limit makes every queue before it grow, so queues are named only
while the processor has room; and a full pool keeps connections waiting, so a connection limit is
named only while the pools have room.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labcore.measure.record import RunRow

BUSY_CORE_SHARE = (
    0.90  # above: the core is the limit; one core, because the interpreter has one lock
)
FULL_POOL_SHARE = 0.90  # mean of busy workers over the pool's size
DOWNSTREAM_SHARE = 0.80  # of the requests in the server, those waiting on another service
CONNECTION_SHARE = 0.20  # of the p99 latency, spent waiting for a connection
CONNECTION_FLOOR_MS = 5.0  # opening another takes less
IN_LINE = 1.0  # requests before the service's own bound, on average
LITTLE_GAP_SHARE = 0.05
SAMPLES_PER_S = 10


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """A name and why, in a sentence.

    The names: `driver`, `connection limit`, `worker pool`, `database pool`, `admission`,
    `downstream`, `server CPU`, `none`.
    """

    name: str
    evidence: str


def name_bottleneck(row: RunRow, *, driver: Sequence[str] = ()) -> Bottleneck:
    """The bottleneck of a run.

    Args:
        row: the run's figures; what is NaN is not known and accuses nobody.
        driver: what the void rules hold against the load driver, as sentences.
    """
    if driver:
        return Bottleneck("driver", " ".join(driver))
    found = inside(row) or Bottleneck("none", _nothing(row))
    return Bottleneck(found.name, f"{found.evidence} {little(row)}".strip())


def inside(row: RunRow) -> Bottleneck | None:
    """What the server itself ran into, the driver left aside; None where nothing was full."""
    for look, name in _SUSPECTS.items():
        evidence = look(row)
        if evidence:
            return Bottleneck(name, evidence)
    return None


def little(row: RunRow) -> str:
    """Little's law: requests counted inside against throughput times service time outside.

    The inside is counted ten times a second, and few requests counted seldom scatter; a gap within
    three standard errors of such a count says nothing.
    """
    if math.isnan(row.little_gap_share):
        return ""
    scatter = 3 / math.sqrt(SAMPLES_PER_S * row.duration_s * row.in_flight_mean)
    verdict = "agrees" if row.little_gap_share <= max(LITTLE_GAP_SHARE, scatter) else "is off"
    return (
        f"Little's law {verdict}: {row.in_flight_mean:.1f} requests in flight were counted inside, "
        f"{row.little_gap_share:.0%} from throughput times service time."
    )


def _connection_limit(row: RunRow) -> str:
    limit_ms = max(CONNECTION_FLOOR_MS, CONNECTION_SHARE * row.p99_ms)
    if not row.connection_wait_p99_ms > limit_ms or _full_worker_pool(row) or _full_db_pool(row):
        return ""
    return (
        f"Requests waited for a connection, {row.connection_wait_p99_ms:.1f} ms at p99 of "
        f"{row.p99_ms:.1f} ms, with {row.connections} connections open."
    )


def _worker_pool(row: RunRow) -> str:
    if not _core_has_room(row) or not _full_worker_pool(row):
        return ""
    return (
        f"{row.worker_pool_busy_mean:.1f} of {row.worker_pool_size:.0f} workers were busy on "
        f"average and up to {row.worker_pool_queued_max:.0f} requests queued for one, while the "
        f"server used {_percent(row.server_cpu_share)} of a core."
    )


def _database_pool(row: RunRow) -> str:
    if not _core_has_room(row) or not _full_db_pool(row):
        return ""
    return (
        f"{row.db_pool_busy_mean:.1f} of {row.db_pool_size:.0f} database connections were busy on "
        f"average and up to {row.db_pool_waiting_max:.0f} requests waited for one, while the "
        f"server used {_percent(row.server_cpu_share)} of a core."
    )


def _admission(row: RunRow) -> str:
    """The service's own bound on orders at work, with room left in everything behind it."""
    if not _core_has_room(row):
        return ""
    if not (row.shed > 0 or row.admission_queue_mean >= IN_LINE):
        return ""
    return (
        f"The service let no more in: {row.admission_queue_mean:.1f} requests were in line on "
        f"average and {row.shed:.0f} were turned away, while the server used "
        f"{_percent(row.server_cpu_share)} of a core."
    )


def _downstream(row: RunRow) -> str:
    if not _core_has_room(row) or not row.in_flight_mean > 0:
        return ""
    share = row.downstream_in_flight_mean / row.in_flight_mean
    if not share >= DOWNSTREAM_SHARE:
        return ""
    return (
        f"Of {row.in_flight_mean:.1f} requests in the server {_percent(min(share, 1.0))} were "
        "waiting on another service: the latency is downstream's."
    )


def _server_cpu(row: RunRow) -> str:
    if not row.server_cpu_share >= BUSY_CORE_SHARE:
        return ""
    return (
        f"The server used {_percent(row.server_cpu_share)} of a core at "
        f"{row.cpu_per_request_us:.0f} us a request."
    )


_SUSPECTS: dict[Callable[[RunRow], str], str] = {
    _connection_limit: "connection limit",
    _worker_pool: "worker pool",
    _database_pool: "database pool",
    _admission: "admission",
    _downstream: "downstream",
    _server_cpu: "server CPU",
}


def _full_worker_pool(row: RunRow) -> bool:
    full = row.worker_pool_busy_mean >= FULL_POOL_SHARE * row.worker_pool_size
    return full and row.worker_pool_queued_max > 0


def _full_db_pool(row: RunRow) -> bool:
    full = row.db_pool_busy_mean >= FULL_POOL_SHARE * row.db_pool_size
    return full and row.db_pool_waiting_max > 0


def _core_has_room(row: RunRow) -> bool:
    """Whether queues may be blamed; a foreign lane's unknown core is given the benefit of doubt."""
    return not row.server_cpu_share >= BUSY_CORE_SHARE


def _nothing(row: RunRow) -> str:
    if math.isnan(row.server_cpu_share):
        return "Nothing was seen full; the server's inside is unknown."
    return f"Nothing was full; the server used {_percent(row.server_cpu_share)} of a core."


def _percent(share: float) -> str:
    return "an unknown share" if math.isnan(share) else f"{share:.0%}"
