"""The benchmark of the hooks: every mode beside the others, and the switch is off again."""

import pytest

from labcore.cli.bench import tracing
from labcore.kernel import TRACING


async def test_a_failing_park_leaves_tracing_off():
    def broken(_count: int) -> None:
        raise RuntimeError("park")

    with pytest.raises(RuntimeError, match="park"):
        await tracing._measured(broken, parks=1, mode=tracing.ON)
    assert not TRACING.on


def test_every_mode_is_a_row_of_its_park(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracing, "PARKS", 200)
    table = tracing.run(quick=True)
    assert set(table["park"]) == {"timer", "coroutine"}
    assert len(table) == 8
    assert (table.loc[table["tracing"] == tracing.OFF, "ratio"] == 1).all()
    assert not TRACING.on
