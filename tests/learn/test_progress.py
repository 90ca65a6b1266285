"""Progress is what the journal says."""

from labcore.learn import Journal, Status, progress


def test_passed_once_is_passed(journal: Journal):
    for status in (Status.NOT_STARTED, Status.NOT_YET, Status.PASSED, Status.WOULD_HANG):
        journal.note("checked", exercise="zip", status=status.value)
    journal.note("checked", exercise="retry", status=Status.BLOCKS.value)
    journal.note("hint", exercise="retry", grade=1)
    journal.note("hint", exercise="retry", grade=2)
    found = {one.name: one for one in progress().standings}
    assert (found["zip"].state, found["zip"].attempts) == (Status.PASSED, 3)
    assert (found["retry"].state, found["retry"].hints) == (Status.BLOCKS, 2)
    assert (found["flat_map"].state, found["flat_map"].attempts) == (Status.NOT_STARTED, 0)


def test_progress_is_shown_as_text_and_as_a_table(journal: Journal):
    journal.note("checked", exercise="zip", status="passed")
    journal.note("predicted", about="load", guess={"p99_ms": 2.0}, own=True)
    row = {"metric": "p99_ms", "predicted": 2.0, "measured": 2.1, "low": 1.5, "high": 2.5}
    open_row = row | {"low": None, "high": None}
    journal.note(
        "scored", about="load", arm="threads", hindsight=False, own=True, rows=[row, open_row]
    )
    journal.note("predicted", about="load", guess={"p99_ms": 1.0}, own=False)
    journal.note("scored", about="load", arm="threads", hindsight=False, own=False, rows=[row])
    shown = progress()
    assert f"1 of {len(shown.standings)} exercises passed." in str(shown)
    assert "1 predictions written down; of 1 numbers with an interval, 1 lay inside it." in str(
        shown
    )
    assert ">exercise</th>" in shown._repr_html_()
