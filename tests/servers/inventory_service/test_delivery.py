"""The delivery proof in small, on every lane: two kills, a network that cuts, nothing lost or doubled."""

from collections.abc import Iterator

import pytest

from labcore.cli.bench.delivery import Ordeal, prove
from labcore.lanes import DatabaseServer, Stage
from tests.cli.bench.tiny_inventory import SCENARIO

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

ORDEAL = Ordeal(subscribers=30, events=1_000, kills=2, mean_cut_bytes=20_000.0)


@pytest.fixture(scope="module")
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    with Stage(SCENARIO, {}, server=database_server) as prepared:
        yield prepared


@pytest.mark.parametrize("lane", [lane.name for lane in SCENARIO.lanes])
async def test_every_subscriber_gets_exactly_its_part_of_the_log(stage: Stage, lane: str):
    with stage.deploy(lane) as deployed:
        outcome = await prove(deployed, ORDEAL)
    assert outcome.logged >= ORDEAL.events
    assert outcome.cuts > 10
    assert outcome.reconnects >= ORDEAL.subscribers * ORDEAL.kills
    assert outcome.judgement.delivered > ORDEAL.events
    assert outcome.judgement.exact, outcome.judgement
