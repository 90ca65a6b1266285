from pathlib import Path

import pyarrow.parquet as pq

from labcore.measure.record import REQUEST_COLUMNS
from labcore.measure.recorder import FAILURES, TIMEOUT, Recorder, write_requests


def recorded() -> Recorder:
    """Four slots: a warm-up, an answer, a time-out, and one that never began."""
    recorder = Recorder(4)
    recorder.issued = 3
    recorder.intended[:3] = [5, 10, 20]
    recorder.sent[1] = 11
    recorder.connection[1] = 7
    recorder.settle(0, 9, 200, "")
    recorder.settle(1, 15, 402, "")
    recorder.settle(2, 90, 0, TIMEOUT)
    return recorder


def test_the_table_has_the_columns_of_the_record_and_only_what_began():
    table = recorded().table(1, {402: "declined", 0: "unreachable"}.__getitem__)
    assert {field.name: str(field.type) for field in table.schema} == REQUEST_COLUMNS
    assert table.to_pylist() == [
        {
            "intended_ns": 10,
            "woke_ns": 0,
            "sent_ns": 11,
            "first_byte_ns": 0,
            "done_ns": 15,
            "status": 402,
            "outcome": "declined",
            "connection": 7,
        },
        {
            "intended_ns": 20,
            "woke_ns": 0,
            "sent_ns": 0,
            "first_byte_ns": 0,
            "done_ns": 90,
            "status": 0,
            "outcome": "timeout",
            "connection": -1,
        },
    ]


def test_news_are_told_once():
    recorder = recorded()
    assert recorder.take_news() == [0, 1, 2]
    assert recorder.take_news() == []


def test_room_can_be_made_for_more():
    recorder = recorded()
    recorder.reserve(2)
    recorder.issued = 6
    assert recorder.unsettled() == [3, 4, 5]
    assert len(recorder.table(0, str)) == 6


def test_a_written_table_is_whole_under_its_name_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "requests" / "r0001.parquet"
    write_requests(recorded().table(0, str), path)
    assert pq.read_table(path).num_rows == 3
    assert [entry.name for entry in path.parent.iterdir()] == ["r0001.parquet"]


def test_no_failure_is_spelled_like_an_answer():
    assert "" not in FAILURES
    assert "ok" not in FAILURES
