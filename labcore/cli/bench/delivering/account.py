"""What each subscriber was given, judged against the log itself. Pure."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Logged:
    """An event as the log holds it, or as a subscriber was given it."""

    id: int
    warehouse: str
    sku: str
    quantity: int

    @classmethod
    def of(cls, event_id: int, body: Mapping[str, Any]) -> "Logged":
        """From the event's document."""
        return cls(event_id, body["warehouse"], body["sku"], body["quantity"])


@dataclass(slots=True)
class Account:
    """What one subscriber heard, and what it may hear."""

    warehouses: frozenset[str]
    conflated: bool = False
    ids: "array[int]" = field(default_factory=lambda: array("q"))
    state: dict[tuple[str, str], int] = field(default_factory=dict)
    gaps: int = 0

    @property
    def last_id(self) -> int:
        """Of the last event heard; 0 before the first."""
        return self.ids[-1] if self.ids else 0

    def hear(self, event: Logged) -> None:
        """One event came."""
        self.ids.append(event.id)
        self.state[event.warehouse, event.sku] = event.quantity


@dataclass(frozen=True, slots=True)
class Judgement:
    """How far deliveries differ from the log: all zero is a proof, anything else is not.

    `lost` counts events that never came (for conflating subscribers: keys whose final value is not the
    log's), `repeated` those that came again, `disordered` steps back, `foreign` what the subscriber had
    no right to or the log never held, `gaps` the losses that the server itself announced.
    """

    delivered: int = 0
    lost: int = 0
    repeated: int = 0
    disordered: int = 0
    foreign: int = 0
    gaps: int = 0

    @property
    def exact(self) -> bool:
        """Whether every subscriber was given exactly its part of the log."""
        return not (self.lost or self.repeated or self.disordered or self.foreign or self.gaps)

    def __add__(self, other: "Judgement") -> "Judgement":
        return Judgement(
            self.delivered + other.delivered,
            self.lost + other.lost,
            self.repeated + other.repeated,
            self.disordered + other.disordered,
            self.foreign + other.foreign,
            self.gaps + other.gaps,
        )


def judged(log: Sequence[Logged], accounts: Iterable[Account]) -> Judgement:
    """All accounts against the whole log."""
    dues: dict[frozenset[str], _Due] = {}
    found = Judgement()
    for account in accounts:
        if account.warehouses not in dues:
            dues[account.warehouses] = _Due.of(log, account.warehouses)
        found += _judged(dues[account.warehouses], account)
    return found


def last_ids(log: Sequence[Logged]) -> dict[str, int]:
    """The last event of each warehouse."""
    return {event.warehouse: event.id for event in log}


@dataclass(frozen=True, slots=True)
class _Due:
    """What the log owes to whoever may hear these warehouses."""

    ids: frozenset[int]
    final: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, log: Sequence[Logged], warehouses: frozenset[str]) -> "_Due":
        due = [event for event in log if event.warehouse in warehouses]
        final = {(event.warehouse, event.sku): event.quantity for event in due}
        return cls(frozenset(event.id for event in due), final)


def _judged(due: _Due, account: Account) -> Judgement:
    heard = set(account.ids)
    stale = sum(account.state.get(key) != quantity for key, quantity in due.final.items())
    steps = zip(account.ids, account.ids[1:], strict=False)
    return Judgement(
        delivered=len(account.ids),
        lost=stale if account.conflated else len(due.ids - heard),
        repeated=len(account.ids) - len(heard),
        disordered=sum(after < before for before, after in steps),
        foreign=len(heard - due.ids),
        gaps=account.gaps,
    )
