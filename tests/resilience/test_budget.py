"""The budget: what is paid in bounds what is taken out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.resilience.budget import TokenBucket

STEPS = st.lists(st.tuples(st.floats(0, 2), st.sampled_from(["call", "retry"])), max_size=100)


@given(steps=STEPS)
def test_retries_never_exceed_what_was_saved_and_paid_in(steps: list[tuple[float, str]]) -> None:
    bucket = TokenBucket(retry_share=0.2, min_retries_per_s=0.5, capacity=3.0)
    now_s, calls, retries = 0.0, 0, 0
    for gap_s, step in steps:
        now_s += gap_s
        if step == "call":
            bucket.deposit(now_s)
            calls += 1
        else:
            retries += bucket.withdraw(now_s)
        assert 0 <= bucket.tokens <= 3.0
    assert retries <= 3.0 + 0.2 * calls + 0.5 * now_s + 1e-9


def test_a_rare_caller_may_retry_too():
    bucket = TokenBucket(retry_share=0.0, min_retries_per_s=0.5, capacity=1.0)
    assert bucket.withdraw(0.0)
    assert not bucket.withdraw(1.0)
    assert bucket.withdraw(2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retry_share": 1.5}, "retry_share is 1.5; give a share"),
        ({"min_retries_per_s": -1.0}, "min_retries_per_s is -1.0; give"),
        ({"capacity": 0.0}, "capacity is 0.0; give"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, float], message: str):
    rates = {"retry_share": 0.2, "min_retries_per_s": 1.0, "capacity": 10.0}
    with pytest.raises(UsageError, match=message):
        TokenBucket(**{**rates, **options})
