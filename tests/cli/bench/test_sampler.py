import pytest

from labcore.cli.bench.sampler import INSIDE
from labcore.lanes import Child


@pytest.mark.parametrize("busy", [True, False])
def test_the_watched_process_tells_the_share_of_its_sampler(busy: bool):
    with Child(INSIDE, {"busy": busy, "seconds": 0.3}, name="watched") as child:
        share = child.wait_ready(20)["share"]
    assert -1 < share < 1  # an idle one is a difference, and may come out below zero
    assert share > 0 or not busy
