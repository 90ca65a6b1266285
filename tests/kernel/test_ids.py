from datetime import UTC, datetime

from labcore.kernel import new_id, new_run_id


def test_ids_carry_their_prefix_and_differ():
    made = {new_id("ord") for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(name.startswith("ord_") for name in made)


def test_run_ids_sort_by_time():
    early = new_run_id("checkout", at=datetime(2026, 1, 1, tzinfo=UTC))
    late = new_run_id("checkout", at=datetime(2026, 1, 2, tzinfo=UTC))
    assert early < late
