"""The dispatch proof, small: on a real dispatcher, and that it is an ordeal at all."""

import pytest

from labcore.cli.bench.dispatch import QUICK, Ordeal, prove, row
from labcore.lanes import DatabaseServer, scenario


def test_a_quick_look_is_the_same_ordeal_but_smaller():
    whole = Ordeal()
    assert (whole.events, whole.kills, whole.partners) == (100_000, 20, 20)
    assert QUICK.events < whole.events
    assert QUICK.kills > 0


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_nothing_is_lost_doubled_or_reordered_by_two_kills(database_server: DatabaseServer):
    ordeal = Ordeal(events=300, kills=2)
    outcome = await prove(scenario("webhooks"), "virtual", database_server, ordeal=ordeal)
    found = row(ordeal, outcome)
    assert outcome.judgement.exact, found
    assert (found["kills"], found["delivered"] + found["dead"]) == (2, 300)
    assert found["dead"] > 0
    assert found["attempts"] > 300
