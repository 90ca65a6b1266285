from dataclasses import replace

from labcore.cli.bench.dispatching import Judgement, Published, Receipt, Stored, judged

PUBLISHED = [Published("a", "one"), Published("b", "one"), Published("c", "two")]
STORED = [
    Stored("a", "one", "delivered", None),
    Stored("b", "one", "delivered", None),
    Stored("c", "two", "dead", "gave up"),
]
TAKEN = [Receipt("one", "a", 1.0, 1.1), Receipt("one", "b", 2.0, 2.1)]


def _judge(stored: list[Stored], taken: list[Receipt], *kills_s: float) -> Judgement:
    return judged(PUBLISHED, stored, taken, ordered=["one"], kills_s=kills_s)


def test_everything_taken_or_dead_with_its_reason_is_exact():
    found = _judge(STORED, TAKEN)
    assert found == Judgement(delivered=2, dead=1)
    assert found.exact


def test_what_is_missing_pending_unreasoned_or_only_said_to_be_taken_is_lost():
    for stored, taken in (
        (STORED[1:], TAKEN),
        ([replace(STORED[0], status="pending"), *STORED[1:]], TAKEN),
        ([*STORED[:2], replace(STORED[2], reason=None)], TAKEN),
        (STORED, TAKEN[1:]),
    ):
        found = _judge(stored, taken)
        assert found.lost == 1
        assert not found.exact


def test_taken_twice_is_explained_by_a_kill_in_between_and_by_nothing_else():
    again = [*TAKEN, Receipt("one", "b", 6.0, 6.1)]
    assert _judge(STORED, again, 4.0).exact
    for kills_s in ([], [0.5], [7.0]):
        found = _judge(STORED, again, *kills_s)
        assert (found.duplicates, found.unexplained, found.exact) == (1, 1, False)


def test_order_is_that_of_publication_by_what_was_taken_first():
    late = [TAKEN[1], Receipt("one", "a", 3.0, 3.1)]
    assert _judge(STORED, late).disordered == 1
    repeated = [*TAKEN, Receipt("one", "a", 3.0, 3.1)]
    assert _judge(STORED, repeated, 2.5).disordered == 0


def test_what_nobody_published_is_foreign():
    assert _judge(STORED, [*TAKEN, Receipt("one", "z", 3.0, 3.1)]).foreign == 1
