"""Servers whose latencies follow from the schedule: what the driver reads, and what is true."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labcore.cli.bench.driver import two_cores
from labcore.lanes import Child, Request
from labcore.measure import (
    Limits,
    LoadPlan,
    LoadResult,
    Progress,
    Users,
    drive,
    placement,
    reference,
)

SUMMARY = "the driver's percentiles beside the true ones, against servers of known behaviour"

RATES: Final = (500, 2_000, 5_000)
QUANTILES: Final = (0.5, 0.9, 0.99, 0.999)
WARMUP_S: Final = 0.5
CONNECTIONS: Final = 128
USERS: Final = 64
SLOTS: Final = 32
BUSY_SHARE: Final = 0.85  # of the slots: requests queue, and the queue ends
TOLERANCE_SHARE: Final = 0.03
TOLERANCE_MS: Final = 0.3
ATTEMPTS: Final = 3
LATE_US: Final = 1_000  # as the void rules have it
DELAYED_SHARE: Final = 0.05

Nanoseconds = NDArray[np.int64]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A server's rule, and how long it holds the requests it is sent."""

    name: str
    duration_s: float
    hold_us: int = 0
    slow_us: int = 0
    slow_share: float = 0.0  # of the requests are held for `slow_us` instead
    slots: int = 0
    stall_s: float = 0.0
    period_s: float = 0.0

    def setting(self) -> Row:
        """What the reference server is told."""
        return {"slots": self.slots, "stall_s": self.stall_s, "period_s": self.period_s}

    def holds_us(self, count: int) -> Nanoseconds:
        """Of so many requests; which are slow is drawn, the same each time."""
        slow = np.random.default_rng(1).random(count) < self.slow_share
        return np.where(slow, self.slow_us, self.hold_us)

    def connections(self, rate: float) -> int:
        """Enough for a stall: opening more while the server stands still is another experiment."""
        return CONNECTIONS + math.ceil(1.1 * rate * self.stall_s)


def behaviours(rate: float, *, quick: bool) -> list[Behaviour]:
    """The servers for one rate.

    The window of the stalls holds two of them and is no whole number of periods: with a tenth of the
    requests stalled the 90th percentile would lie on a step, and no reading of it would be fair.
    """
    duration_s = period_s = 2.0 if quick else 10.0
    stall_s = period_s / 10
    return [
        Behaviour("holds 2 ms", duration_s, hold_us=2_000),
        Behaviour(
            "holds 1 ms, one in 20 for 20 ms",
            duration_s,
            hold_us=1_000,
            slow_us=20_000,
            slow_share=0.05,
        ),
        Behaviour(
            f"{SLOTS} at a time, {BUSY_SHARE:.0%} busy",
            duration_s,
            hold_us=round(BUSY_SHARE * SLOTS / rate * 1e6),
            slots=SLOTS,
        ),
        Behaviour(
            f"stands still {stall_s:g} s in {period_s:g} s",
            2.4 * period_s,
            stall_s=stall_s,
            period_s=period_s,
        ),
    ]


def run(*, quick: bool) -> pd.DataFrame:
    """One row a server, rate and percentile.

    `true_ms` is computed from the intended times by the server's rule, `kept_ms` from what the server
    stamped, so the distance between these two is the server's own error. `off` is the distance of
    `measured_ms` from `true_ms` in units of the tolerance, 3 % or 0.3 ms, whichever is more: 1 is the
    limit. A load that strangers disturbed is repeated, and `void` if it was disturbed each time.
    `closed_ms` is what 64 users see who think so long that they ask at the same rate.
    """
    rows: list[Row] = []
    for rate in RATES[::2] if quick else RATES:
        for behaviour in behaviours(rate, quick=quick):
            rows += _compared(behaviour, rate)
    return pd.DataFrame(rows).round(3)


def _compared(behaviour: Behaviour, rate: float) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        opened = _undisturbed(behaviour, rate, Path(folder) / "open.parquet")
        hold_s = behaviour.holds_us(10_000).mean() / 1e6
        users = Users(USERS, think_s=max(0.0, USERS / rate - hold_s))
        closed = Loaded.drive(behaviour, rate, Path(folder) / "closed.parquet", users=users)
    true_ms, kept_ms = opened.true_ms(), opened.kept_ms()
    rows = []
    for quantile in QUANTILES:
        true, measured = np.quantile(true_ms, quantile), np.quantile(opened.measured_ms, quantile)
        rows.append(
            {
                "server": behaviour.name,
                "offered_per_s": rate,
                "percentile": f"p{quantile * 100:g}",
                "true_ms": true,
                "kept_ms": np.quantile(kept_ms, quantile),
                "measured_ms": measured,
                "off": abs(measured - true) / max(TOLERANCE_SHARE * true, TOLERANCE_MS),
                "closed_ms": np.quantile(closed.measured_ms, quantile),
                "closed_per_s": len(closed.measured_ms) / behaviour.duration_s,
                "sent_late_p99_us": opened.result.lateness_p99_us,
                "driver_waited_share": opened.result.run_delay_share,
                "not_ok": opened.not_ok,
                "void": opened.void,
            }
        )
    return rows


def _undisturbed(behaviour: Behaviour, rate: float, path: Path) -> "Loaded":
    """The first valid load, or the last there was."""
    loaded = Loaded.drive(behaviour, rate, path, users=None)
    for _ in range(ATTEMPTS - 1):
        if not loaded.void:
            break
        loaded = Loaded.drive(behaviour, rate, path, users=None)
    return loaded


class Loaded:
    """One load against one behaviour: what the driver recorded and what the server accounts for."""

    def __init__(
        self,
        behaviour: Behaviour,
        table: pd.DataFrame,
        result: LoadResult,
        *,
        account: Mapping[str, Any],
        holds_us: Nanoseconds,
        first: int,
    ) -> None:
        self.result = result
        self.intended_ns = table.intended_ns.to_numpy()
        self.measured_ms = ((table.done_ns - table.intended_ns) / 1e6).to_numpy()
        self.not_ok = int((table.outcome != "ok").sum())
        self._behaviour = behaviour
        self._account = account
        self._first = first
        self._holds_ns = holds_us[first : first + len(table)] * 1_000

    @classmethod
    def drive(
        cls, behaviour: Behaviour, rate: float, path: Path, *, users: Users | None
    ) -> "Loaded":
        """Start the server, drive it, stop it."""
        server_core, driver_core = two_cores()
        connections = behaviour.connections(rate) if users is None else USERS
        # A few more than are sent, so that every one sent has a number of its own.
        count = connections + math.ceil(1.1 * rate * (behaviour.duration_s + WARMUP_S)) + 100
        holds_us = behaviour.holds_us(count)
        accounts: list[Mapping[str, Any]] = []

        def on_event(kind: str, said: Row) -> None:
            if kind == reference.ACCOUNT:
                accounts.append(said)

        server = Child(
            reference.TARGET,
            behaviour.setting(),
            name="reference",
            cpus=frozenset({server_core}),
            on_event=on_event,
        )
        begun: list[Progress] = []

        def begin_once(progress: Progress) -> None:
            if not begun:  # the window has: from here on the server's periods count
                server.send("begin", {})
            begun.append(progress)

        with placement.woken_first(), server:  # as in an experiment's run
            plan = LoadPlan(
                server.wait_ready(30)["url"],
                path,
                rate_per_s=rate,
                duration_s=behaviour.duration_s,
                warmup_s=WARMUP_S,
                requests=tuple(
                    Request("GET", f"/{hold_us}/{number}")
                    for number, hold_us in enumerate(holds_us.tolist())
                ),
                users=users,
                limits=Limits(connections=connections, max_connections=max(1_024, connections)),
                cpus=frozenset({driver_core}),
            )
            result = drive(plan, on_progress=begin_once)
        return cls(
            behaviour,
            pd.read_parquet(path),
            result,
            account=accounts[0],
            holds_us=holds_us,
            first=connections + len(plan.lead_in()),
        )

    @property
    def void(self) -> bool:
        """Whether strangers disturbed the driver, by the limits of an experiment's run."""
        late_us = max(LATE_US, 50 * float(np.median(self.measured_ms)))  # 5 % of it
        delayed = self.result.run_delay_share > DELAYED_SHARE
        return delayed or self.result.lateness_p99_us > late_us

    def true_ms(self) -> NDArray[np.float64]:
        """By arithmetic from the intended times alone."""
        windows = reference.stalls(
            self._account["began_ns"],
            stall_s=self._behaviour.stall_s,
            period_s=self._behaviour.period_s,
            until_ns=int(self.intended_ns[-1]),
        )
        queue = reference.queue_latency_ns(
            self.intended_ns, self._holds_ns, slots=self._behaviour.slots
        )
        return (queue + reference.stall_latency_ns(self.intended_ns, windows)) / 1e6

    def kept_ms(self) -> NDArray[np.float64]:
        """How long the server really kept each request, and the rest of the stall it met."""
        windows = np.array(self._account["stalls"], dtype=np.int64).reshape(-1, 2)
        stay_ns = dict(
            zip(
                self._account["numbers"],
                np.subtract(self._account["answered_ns"], self._account["received_ns"]).tolist(),
                strict=True,
            )
        )
        kept = [stay_ns.get(self._first + row, 0) for row in range(len(self.intended_ns))]
        return (np.array(kept) + reference.stall_latency_ns(self.intended_ns, windows)) / 1e6
