"""The judge of a dispatch proof: what was published, what the database says, what the partners took. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from labcore.cli.bench.dispatching.endpoints import Receipt

ON_THE_WAY_S: Final = 1.0  # a request may be read this long after its sender was killed


@dataclass(frozen=True, slots=True)
class Published:
    """An event that a dispatcher said it had stored, and the partner it is for; in order of the answers."""

    id: str
    partner: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A delivery as the database has it when all is over."""

    id: str
    partner: str
    status: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of all deliveries. `lost` and the three after it are 0 if the promise was kept.

    `lost`: an event without its delivery, neither taken nor dead with a reason, or said to be taken and was not.
    `unexplained`: taken again although nobody was killed in between. `foreign`: taken, and never published.
    """

    delivered: int = 0
    dead: int = 0
    duplicates: int = 0
    lost: int = 0
    unexplained: int = 0
    disordered: int = 0
    foreign: int = 0

    @property
    def exact(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.unexplained or self.disordered or self.foreign)


def judged(
    published: Sequence[Published],
    stored: Iterable[Stored],
    receipts: Sequence[Receipt],
    *,
    ordered: Collection[str],
    kills_s: Sequence[float],
) -> Judgement:
    """Compare the three. `kills_s`: when dispatchers were killed, on the clock of the receipts."""
    ends = {(each.partner, each.id): each for each in stored}
    taken: Mapping[tuple[str, str], list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        taken[receipt.partner, receipt.id].append(receipt)
    wanted = {(each.partner, each.id) for each in published}
    lost = sum(not _is_settled(ends.get(key), key in taken) for key in wanted)
    again = [pair for each in taken.values() for pair in pairwise(each)]
    return Judgement(
        delivered=sum(each.status == "delivered" for each in ends.values()),
        dead=sum(each.status == "dead" for each in ends.values()),
        duplicates=len(again),
        lost=lost,
        unexplained=sum(not _is_explained(*pair, kills_s) for pair in again),
        disordered=sum(_disordered(name, published, taken) for name in ordered),
        foreign=len(set(taken) - wanted),
    )


def _is_settled(end: Stored | None, was_taken: bool) -> bool:
    if end is None:
        return False
    return was_taken if end.status == "delivered" else end.status == "dead" and bool(end.reason)


def _is_explained(first: Receipt, second: Receipt, kills_s: Sequence[float]) -> bool:
    return any(first.arrived_s - ON_THE_WAY_S <= kill_s <= second.arrived_s for kill_s in kills_s)


def _disordered(
    partner: str,
    published: Sequence[Published],
    taken: Mapping[tuple[str, str], Sequence[Receipt]],
) -> int:
    """How often an event was first taken before one that was published earlier."""
    first_s = [
        taken[partner, each.id][0].taken_s
        for each in published
        if each.partner == partner and (partner, each.id) in taken
    ]
    return sum(late < early for early, late in pairwise(first_s))
