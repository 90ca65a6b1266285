"""The delivery proof's own rules, and that it can fail; what it finds on the lanes is tested beside them."""

import pytest

from labcore.cli.bench.delivering import Judgement
from labcore.cli.bench.delivery import QUICK, Ordeal, Outcome, prove, row
from labcore.lanes import DatabaseServer, Stage
from tests.cli.bench.tiny_inventory import SCENARIO


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


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", ["loses", "repeats"])
async def test_the_proof_finds_what_a_service_loses_or_repeats(
    database_server: DatabaseServer, fault: str
):
    ordeal = Ordeal(subscribers=6, events=120, kills=1, mean_cut_bytes=4_000.0)
    with (
        Stage(SCENARIO, {"fault": fault}, server=database_server) as stage,
        stage.deploy("structured") as deployed,
    ):
        found = (await prove(deployed, ordeal)).judgement
    assert not found.exact
    assert (found.lost > 0) is (fault == "loses")
    assert (found.repeated > 0) is (fault == "repeats")
