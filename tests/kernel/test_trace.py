"""A trace keeps spans in order and in bounds; a process that does not trace says so."""

import contextvars
import json

import pytest

from labcore.kernel import TRACING, Span, Trace, UsageError, current_trace, trace_in, traced


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRACING, "on", True)


def add(trace: Trace, what: str, start_ns: int, end_ns: int) -> None:
    trace.add(what, who="t", kind="running", start_ns=start_ns, end_ns=end_ns)


def test_spans_come_in_the_order_of_their_starts_the_longer_first():
    trace = Trace("order")
    add(trace, "late", 5, 6)
    add(trace, "inner", 1, 2)
    add(trace, "outer", 1, 9)
    assert [span.what for span in trace.spans] == ["outer", "inner", "late"]


def test_what_goes_beyond_the_bound_is_counted():
    trace = Trace("order", most=2)
    for number in range(5):
        add(trace, str(number), number, number)
    assert len(trace.spans) == 2
    assert trace.dropped == 3


def test_a_block_is_recorded_also_when_it_fails():
    trace = Trace("order")
    with pytest.raises(KeyError), trace.span("asking", who="me", kind="waiting", on="worker_1"):
        raise KeyError("x")
    (span,) = trace.spans
    assert (span.what, span.who, span.kind, span.on) == ("asking", "me", "waiting", "worker_1")
    assert span.end_ns >= span.start_ns


def test_a_trace_survives_json():
    trace = Trace("order", most=1)
    add(trace, "kept", 1, 2)
    add(trace, "dropped", 3, 4)
    again = Trace.from_json(json.loads(json.dumps(trace.as_json())))
    assert (again.name, again.dropped, again.spans) == ("order", 1, trace.spans)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "not a trace"),
        ({"name": "x", "dropped": 0, "spans": [{"what": "x"}]}, "not a trace"),
        (
            {
                "name": "x",
                "dropped": 0,
                "spans": [
                    {"what": "a", "who": "b", "kind": "idle", "start_ns": 0, "end_ns": 1, "on": ""}
                ],
            },
            "idle",
        ),
    ],
)
def test_another_document_is_refused(document: dict[str, object], told: str):
    with pytest.raises(UsageError, match=told):
        Trace.from_json(document)


def test_a_process_that_does_not_trace_refuses_to_begin():
    with pytest.raises(UsageError, match="does not trace"), traced(Trace("order")):
        pass
    assert current_trace() is None


@pytest.mark.usefixtures("allowed")
def test_only_what_runs_within_belongs_to_the_trace():
    trace = Trace("order")
    with traced(trace):
        assert current_trace() is trace
        inherited = contextvars.copy_context()
    assert current_trace() is None
    assert trace_in(inherited) is trace
    assert trace_in(None) is None


def test_a_span_is_plain_data():
    span = Span("a", "b", "queued", 1, 2)
    assert (span, span.on) == (Span("a", "b", "queued", 1, 2), "")
