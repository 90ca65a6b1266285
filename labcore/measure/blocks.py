"""The order of an experiment, drawn before its first run.

Pure. A block holds one run of each arm under one schedule. Odd blocks are in random order and the
next one mirrors it (ABBA), so that a drift of the machine falls on both halves of every pair alike;
blocks of one arm after the other called a lane different from itself in up to three comparisons of
four.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ORDER_STREAM = 1  # keeps the draws of orders and of seeds apart
SEED_STREAM = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the order: which arm runs when, under which seed."""

    block: int
    place: int
    arm: str
    seed: int


def blocks(arms: Sequence[str], *, pairs: int, seed: int) -> Iterator[list[Slot]]:
    """The blocks in the order they run, `pairs` of them; the same for the same seed."""
    order: list[str] = []
    for block, block_seed in enumerate(block_seeds(pairs=pairs, seed=seed)):
        if block % 2 == 0:
            draw = np.random.default_rng([seed, ORDER_STREAM, block])
            order = [arms[place] for place in draw.permutation(len(arms))]
        else:
            order = order[::-1]
        yield [Slot(block, place, arm, block_seed) for place, arm in enumerate(order)]


def block_seeds(*, pairs: int, seed: int) -> list[int]:
    """One seed a block, for its schedule and its requests."""
    draw = np.random.default_rng([seed, SEED_STREAM])
    return [int(value) for value in draw.integers(0, 2**31, size=pairs)]
