"""The grammar of objectives, and what keeps one."""

import math
from collections.abc import Callable
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.measure.objective import FIGURES, Clause, Objective
from labcore.measure.record import RunRow


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("p99<250ms,errors<0.1%", "p99<250ms,errors<0.1%"),
        (" P99 < 0.25s , errors <= 0 ", "p99<250ms,errors<=0%"),
        ("p50<=900us,error<0.005", "p50<=0.9ms,errors<0.5%"),
        ("p999<1s,errors<1%", "p99.9<1000ms,errors<1%"),
    ],
)
def test_an_objective_is_read_and_written_in_one_form(text: str, normal: str):
    assert str(Objective.parse(text)) == normal
    assert Objective.parse(normal) == Objective.parse(text)


def test_silence_about_errors_allows_fewer_than_one_per_cent():
    assert str(Objective.parse("p99<250ms")) == "p99<250ms,errors<1%"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no bound such as p99<250ms"),
        ("p99", "is no bound"),
        ("p99<250ms,", "is no bound"),
        ("p98<250ms", "bounds 'p98'; what can be bounded: p50"),
        ("p99>250ms", "is no upper bound; write p99<250ms"),
        ("p99=250ms", "is no upper bound"),
        ("p99<250", "'250' is no such bound; write p99<250ms or"),
        ("p99<fast", "'fast' is no such bound"),
        ("p99<-5ms", "is no such bound"),
        ("p99<5%", "'5%' is no such bound"),
        ("errors<5ms", "'5ms' is no such bound; write errors<0.1%"),
        ("errors<100%", "allows every request to fail"),
        ("p99<0ms", "can never hold"),
        ("p99<1ms,p99<2ms", "bounds 'p99' twice"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(text: str, told: str):
    with pytest.raises(UsageError) as caught:
        Objective.parse(text)
    assert told in str(caught.value)


@given(
    st.dictionaries(st.sampled_from(sorted(FIGURES)), st.integers(1, 90), min_size=1),
    st.sampled_from(["<", "<="]),
)
def test_what_is_written_is_read_again(limits: dict[str, int], bound: str):
    clauses = [
        Clause(name, "<" if bound == "<" else "<=", limit / 100 if name == "errors" else limit)
        for name, limit in limits.items()
    ]
    text = ",".join(map(str, clauses))
    assert Objective.parse(text).clauses[: len(clauses)] == tuple(clauses)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("p99<61ms", True),
        ("p99<60ms", False),
        ("p99<=60ms", True),
        ("p99<61ms,p50<30ms", False),
        ("errors<=0", True),
    ],
)
def test_every_clause_has_to_hold(make_row: Callable[..., RunRow], text: str, kept: bool):
    assert Objective.parse(text).holds(asdict(make_row(p99_ms=60.0, p50_ms=30.0))) is kept


def test_failing_requests_break_it_though_they_fail_fast(make_row: Callable[..., RunRow]):
    quick_failures = asdict(make_row(p99_ms=1.0, error_share=0.3))
    assert not Objective.parse("p99<250ms").holds(quick_failures)


def test_what_was_not_measured_was_not_kept(make_row: Callable[..., RunRow]):
    assert not Objective.parse("p99<250ms").holds(asdict(make_row(p99_ms=math.nan)))
