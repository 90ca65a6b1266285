"""The benchmark of the policies: every style and policy is a row beside its own bare call."""

import threading

import pytest

from labcore.cli.bench import resilience
from labcore.resilience import Bulkhead, BulkheadConfig, BulkheadFullError, Policies
from labcore.virtual import PlatformThreadExecutor


def test_every_policy_is_a_row_of_each_style(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resilience, "CALLS", 200)
    threads = threading.active_count()
    table = resilience.run(quick=True)
    assert set(table["style"]) == set(resilience.STYLES)
    assert (table.groupby("style")["policies"].nunique() == 7).all()
    assert (table.loc[table["policies"] == resilience.BARE, "ratio"] == 1).all()
    assert (table["cpu_us"] > 0).all()
    assert threading.active_count() == threads


@pytest.mark.parametrize("style", resilience.STYLES)
def test_the_calls_it_measures_go_through_the_policies(style: str):
    full = Bulkhead(BulkheadConfig(1))
    forks = PlatformThreadExecutor(1, name="fork")
    world = resilience.Threads(forks)
    with full.entered(world), pytest.raises(BulkheadFullError):
        resilience._measured(style, Policies(bulkhead=full), calls=1, world=world)
    forks.shutdown()
