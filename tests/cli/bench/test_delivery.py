"""The delivery proof's own rules; what it finds on the lanes is tested beside the service."""

from labcore.cli.bench.delivering import Judgement
from labcore.cli.bench.delivery import QUICK, Ordeal, Outcome, row


def test_a_row_says_what_was_suffered_and_what_was_lost():
    outcome = Outcome(
        Judgement(delivered=90, lost=1), logged=10, kills=2, cuts=3, reconnects=4, seconds=1.25
    )
    found = row(Ordeal(subscribers=9), outcome)
    assert (found["subscribers"], found["events"], found["kills"], found["cuts"]) == (9, 10, 2, 3)
    assert (found["lost"], found["repeated"], found["exact"]) == (1, 0, False)


def test_a_quick_look_is_the_same_ordeal_but_smaller():
    whole = Ordeal()
    assert (whole.subscribers, whole.events, whole.kills) == (500, 50_000, 10)
    assert QUICK.subscribers < whole.subscribers
    assert QUICK.events < whole.events
    assert QUICK.kills > 0
