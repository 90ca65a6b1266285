"""What one dispatcher has in hand, and what it may still claim: the bounds, before anything is claimed.

A bulkhead that refuses after the claim has already spent a place of the whole dispatcher, and a write to the
database. So each claim names the partners that have places free, and how many: who is full, waits, is cut
off by its breaker or asked for patience is not claimed for.
"""

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labcore.resilience import Policies
from servers.partner_webhook_dispatcher.awaited import Awaited
from servers.partner_webhook_dispatcher.domain import (
    Claimed,
    Outcome,
    Partner,
    PutOff,
    State,
    Status,
    Verdict,
)
from servers.partner_webhook_dispatcher.guard import Rules, places_of, policies_of
from servers.partner_webhook_dispatcher.statements import settling

LONGEST_HOLD_S = 60.0  # a partner's Retry-After holds its other deliveries no longer


@dataclass(slots=True)
class Gate:
    """One partner as this dispatcher knows it."""

    partner: Partner
    policies: Policies
    in_hand: int = 0
    not_before_s: float = 0.0  # of the monotonic clock
    probe_at_s: float = 0.0


class Desk:
    """Claims in hand, by partner. Thread-safe; it does no I/O and keeps no clock.

    Args:
        instance: this dispatcher's number, in the log of attempts.
        rules: of the partners' guards.
        concurrency: deliveries in hand at once, over all partners.
        lease_s: how long a claim holds.
    """

    def __init__(self, instance: int, rules: Rules, *, concurrency: int, lease_s: float) -> None:
        self.instance = instance
        self.rules = rules
        self._concurrency = concurrency
        self._lease_s = lease_s
        self._lock = threading.Lock()
        self._gates: dict[str, Gate] = {}
        self._in_hand: dict[int, Claimed] = {}
        self._open = True
        self._rung = False
        self._wake: Callable[[], object] | None = None
        self._counts = dict.fromkeys(
            ("attempts_total", "delivered_total", "retried_total", "dead_total", "put_off_total"), 0
        )
        self.backlog: Mapping[str, float] = {}
        self.awaited = Awaited()

    @property
    def is_open(self) -> bool:
        """Whether there is more to be claimed."""
        return self._open

    def close(self) -> None:
        """Claim nothing more."""
        self._open = False
        self.ring()

    def know(self, partners: Iterable[Partner], now_s: float) -> None:
        """Learn the partners there are; one whose policies changed gets new ones."""
        with self._lock:
            known, self._gates = self._gates, {}
            for partner in partners:
                gate = known.get(partner.id)
                if gate is None or _guarded_by(gate.partner) != _guarded_by(partner):
                    gate = Gate(partner, policies_of(partner, self.rules), _held(gate))
                gate.partner = partner
                gate.probe_at_s = now_s + partner.probe_in_s
                self._gates[partner.id] = gate

    def claiming(self, now_s: float) -> Mapping[str, Any] | None:
        """What `CLAIM` needs, or None when nothing may be claimed now."""
        with self._lock:
            left = self._concurrency - len(self._in_hand)
            if left <= 0 or not self._open:
                return None
            free = {
                name: places
                for name, gate in self._gates.items()
                if (places := self._free(gate, left, now_s)) > 0
            }
        if not free:
            return None
        return {
            "partners": list(free),
            "free": list(free.values()),
            "limit": left,
            "lease": secrets.randbits(62),
            "lease_s": self._lease_s,
        }

    def take(self, claimed: Iterable[Claimed]) -> None:
        """These are in hand now; each is to be `drop`ped once."""
        with self._lock:
            for each in claimed:
                self._in_hand[each.id] = each
                gate = self._gates.get(each.partner_id)
                if gate is not None:
                    gate.in_hand += 1

    def drop(self, claimed: Claimed) -> None:
        """It is settled, put off or given back: its place is free."""
        with self._lock:
            del self._in_hand[claimed.id]
            gate = self._gates.get(claimed.partner_id)
            if gate is not None:
                gate.in_hand -= 1
        self.ring()

    def in_hand(self) -> list[Claimed]:
        """What has been claimed and not dropped."""
        with self._lock:
            return list(self._in_hand.values())

    def policies(self, partner_id: str) -> Policies:
        """Those around every attempt at that partner."""
        with self._lock:
            gate = self._gates.get(partner_id)
        return Policies() if gate is None else gate.policies

    def settled(
        self, claimed: Claimed, outcome: Outcome, verdict: Verdict, *, now_s: float
    ) -> Mapping[str, Any]:
        """Note how an attempt went; what `SETTLE` needs."""
        patience_s = 0.0 if verdict.status is Status.DELIVERED else outcome.retry_after_s or 0.0
        with self._lock:
            self._counts["attempts_total"] += 1
            self._counts[_COUNTED[verdict.status]] += 1
            self._hold(claimed.partner_id, now_s + min(patience_s, LONGEST_HOLD_S))
        return settling(claimed, outcome, verdict) | {
            "dispatcher": self.instance,
            "disable_after": self.rules.disable_after_failures,
            "disable_s": self.rules.disable_after_s,
            "probe_s": self.rules.probe_s,
        }

    def recorded(self, claimed: Claimed, verdict: Verdict) -> None:
        """The database knows how it went; tell who waits for the end."""
        if verdict.status is not Status.PENDING:
            self.awaited.ended(claimed.event_id)

    def put_off(self, claimed: Claimed, later: PutOff, *, now_s: float) -> None:
        """Note a refusal: nothing more is claimed for that partner until then."""
        with self._lock:
            self._counts["put_off_total"] += 1
            self._hold(claimed.partner_id, now_s + later.wait_s)

    def ring(self) -> None:
        """Something may have become due or free: wake whoever claims. From any thread."""
        with self._lock:
            wake, self._wake = self._wake, None
            self._rung = wake is None
        if wake is not None:
            wake()

    def arm(self, wake: Callable[[], object]) -> bool:
        """Call `wake` at the next ring; False when it has rung while nobody was waiting."""
        with self._lock:
            rung, self._rung = self._rung, False
            self._wake = None if rung else wake
        return not rung

    def gauges(self) -> Mapping[str, float]:
        """For a sampler: what is in hand, what was counted, and the backlog as last seen."""
        with self._lock:
            breakers = [gate.policies.circuit_breaker for gate in self._gates.values()]
            in_hand = len(self._in_hand)
            counts = dict(self._counts)
        opened = sum(each is not None and each.state.value == 1 for each in breakers)
        bounds = {"deliveries_in_hand": in_hand, "deliveries_most": self._concurrency}
        return {**bounds, "breakers_open": opened, **counts, **self.backlog}

    def _free(self, gate: Gate, left: int, now_s: float) -> int:
        partner = gate.partner
        if partner.state is State.GONE or now_s < gate.not_before_s:
            return 0
        places: float = left + gate.in_hand
        if partner.state is State.DISABLED:
            places = 1 if now_s >= gate.probe_at_s else 0
        elif partner.ordered:
            places = 1
        elif self.rules.bulkheads:
            places = partner.places
        places = min(places, places_of(gate.policies, now_s))
        return max(0, min(left, int(places) - gate.in_hand))

    def _hold(self, partner_id: str, until_s: float) -> None:
        gate = self._gates.get(partner_id)
        if gate is not None:
            gate.not_before_s = max(gate.not_before_s, until_s)


_COUNTED = {
    Status.DELIVERED: "delivered_total",
    Status.PENDING: "retried_total",
    Status.DEAD: "dead_total",
}


def _guarded_by(partner: Partner) -> tuple[float, int]:
    return partner.rate_per_s, partner.places


def _held(gate: Gate | None) -> int:
    return 0 if gate is None else gate.in_hand
