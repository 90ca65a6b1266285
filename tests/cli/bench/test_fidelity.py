"""What the bench takes for the truth is the truth: nobody can be faster than the rule allows."""

from pathlib import Path

import numpy as np
import pytest

from labcore.cli.bench.fidelity import RATES, SLOTS, Behaviour, Loaded, behaviours
from labcore.measure import Users

HOLDS = Behaviour("holds", 0.3, hold_us=1_000, slow_us=9_000, slow_share=0.2)
EARLIEST_MS = 1e-6  # a float's rounding


def test_no_request_is_measured_faster_than_its_server_kept_it_or_should_have(tmp_path: Path):
    loaded = Loaded.drive(HOLDS, 200, tmp_path / "open.parquet", users=None)
    assert loaded.not_ok == 0
    assert set(loaded.true_ms()) == {1.0, 9.0}
    assert (loaded.kept_ms() >= loaded.true_ms() - EARLIEST_MS).all()
    assert (loaded.measured_ms >= loaded.kept_ms() - EARLIEST_MS).all()


def test_a_closed_load_of_the_same_server_is_measured_too(tmp_path: Path):
    users = Users(2, think_s=0.01)
    loaded = Loaded.drive(HOLDS, 200, tmp_path / "closed.parquet", users=users)
    assert loaded.not_ok == 0
    assert 10 < len(loaded.measured_ms) < 70


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("quick", [True, False])
def test_every_server_can_do_what_it_is_asked_for(rate: float, quick: bool):
    for behaviour in behaviours(rate, quick=quick):
        if behaviour.slots:
            busy = rate * behaviour.hold_us / 1e6 / SLOTS
            assert 0.8 < busy < 0.9
        if behaviour.stall_s:
            stalled = behaviour.stall_s / behaviour.period_s
            assert stalled == pytest.approx(0.1)
            assert behaviour.connections(rate) > rate * behaviour.stall_s


def test_slow_requests_are_drawn_once_and_are_as_many_as_said():
    holds = HOLDS.holds_us(50_000)
    assert np.array_equal(holds, HOLDS.holds_us(50_000))
    assert (holds == HOLDS.slow_us).mean() == pytest.approx(0.2, abs=0.01)
