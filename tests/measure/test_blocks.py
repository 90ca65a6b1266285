"""Orders are drawn from the seed, mirrored in pairs, and fair."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from labcore.measure.blocks import block_seeds, blocks

ARMS = ("reactive", "threads", "virtual", "control")


def orders(pairs: int = 20, seed: int = 1) -> list[list[str]]:
    return [[slot.arm for slot in block] for block in blocks(ARMS, pairs=pairs, seed=seed)]


def test_every_block_runs_every_arm_once():
    assert all(sorted(order) == sorted(ARMS) for order in orders())


def test_each_second_block_mirrors_the_one_before():
    drawn = orders()
    mirrored = zip(drawn[::2], drawn[1::2], strict=True)
    assert all(second == first[::-1] for first, second in mirrored)


@given(st.integers(0, 2**31), st.integers(2, 30).map(lambda half: 2 * half))
def test_every_arm_stands_at_the_same_place_on_average(seed: int, pairs: int):
    """What the mirror is for: a drift of the machine falls on all arms alike."""
    places: Counter[str] = Counter()
    for order in orders(pairs, seed):
        places.update({arm: place for place, arm in enumerate(order)})
    assert len(set(places.values())) == 1


def test_the_first_order_is_random():
    firsts = {tuple(orders(pairs=1, seed=seed)[0]) for seed in range(60)}
    assert len(firsts) > 10


def test_the_same_seed_draws_the_same_and_another_does_not():
    assert orders(seed=4) == orders(seed=4)
    assert orders(seed=4) != orders(seed=5)


def test_the_arms_of_a_block_share_its_seed_and_blocks_do_not():
    drawn = list(blocks(ARMS, pairs=20, seed=1))
    seeds = [{slot.seed for slot in block} for block in drawn]
    assert all(len(seed) == 1 for seed in seeds)
    assert [seed.pop() for seed in seeds] == block_seeds(pairs=20, seed=1)
    assert len(set(block_seeds(pairs=20, seed=1))) == 20


def test_more_pairs_continue_the_same_experiment():
    assert orders(pairs=20)[:6] == orders(pairs=6)
    assert block_seeds(pairs=20, seed=1)[:6] == block_seeds(pairs=6, seed=1)


def test_slots_are_numbered_in_the_order_they_run():
    slots = [slot for block in blocks(ARMS, pairs=3, seed=1) for slot in block]
    numbers = [(slot.block, slot.place) for slot in slots]
    assert all(earlier < later for earlier, later in pairwise(numbers))
