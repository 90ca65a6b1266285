import json
from pathlib import Path

import pytest

from labcore.kernel import UsageError
from labcore.lanes import Request
from labcore.measure import arrivals
from labcore.measure.connections import Limits
from labcore.measure.plan import LoadPlan, Users

REQUESTS = (Request("POST", "/x", (("A", "b"),), b"\x00\xff"), Request("GET", "/y"))


def test_a_plan_survives_the_pipe():
    plan = LoadPlan(
        url="http://127.0.0.1:1",
        requests_path=Path("/tmp/r.parquet"),
        rate_per_s=10,
        duration_s=2,
        warmup_s=1,
        seed=3,
        requests=REQUESTS,
        users=Users(4, 0.5),
        limits=Limits(max_connections=7, connections=2),
    )
    assert LoadPlan.from_setting(json.loads(json.dumps(plan.setting()))) == plan


def test_a_schedule_survives_the_pipe():
    schedule = arrivals.trace([0.0, 0.5, 2.0])
    plan = LoadPlan(
        "http://h", Path("r"), rate_per_s=1, duration_s=3, arrivals=schedule, requests=REQUESTS
    )
    back = LoadPlan.from_setting(json.loads(json.dumps(plan.setting()))).window()
    assert back.offsets_ns.tolist() == schedule.offsets_ns.tolist()
    assert back.rate_per_s == schedule.rate_per_s


def test_equal_plans_have_equal_schedules():
    plans = [
        LoadPlan("http://h", Path("r"), rate_per_s=50, duration_s=3, seed=8, requests=REQUESTS)
        for _ in range(2)
    ]
    assert plans[0].window().offsets_ns.tolist() == plans[1].window().offsets_ns.tolist()


@pytest.mark.parametrize("sources", [{}, {"scenario": "checkout", "requests": REQUESTS}])
def test_requests_have_exactly_one_source(sources: dict[str, object]):
    with pytest.raises(UsageError, match="scenario or from a list"):
        LoadPlan("http://h", Path("r"), rate_per_s=1, duration_s=1, **sources)  # type: ignore[arg-type]  # wrong on purpose


def test_a_negative_warmup_is_refused():
    with pytest.raises(UsageError, match="warmup_s=-1"):
        LoadPlan("http://h", Path("r"), rate_per_s=1, duration_s=1, warmup_s=-1, requests=REQUESTS)


def test_the_closed_model_carries_its_warning():
    plan = LoadPlan(
        "http://h", Path("r"), rate_per_s=1, duration_s=1, requests=REQUESTS, users=Users(1)
    )
    assert plan.model == "closed, ceiling only"
