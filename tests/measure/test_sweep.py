"""Sweeps: the plan is checked whole, points are measured once, and a table comes of them."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import pytest

from labcore.kernel import InterruptedRunError, UsageError
from labcore.measure import sweeping
from labcore.measure.recording import Recording
from labcore.measure.sweep import Sweep, SweepPlan, sides
from labcore.measure.sweeping import run_sweep

pytestmark = pytest.mark.timeout(240)

SERVICE = """
    import asyncio
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from labcore.lanes import Lane, Parameter, Request, Scenario, Service

    def build(setting):
        async def answer(request):
            await asyncio.sleep(setting.parameters["wait_ms"] / 1e3)  # simulated work
            return PlainTextResponse("done")
        async def healthy(_):
            return PlainTextResponse("ok")
        return Service(app=Starlette(routes=[Route("/", answer), Route("/healthz", healthy)]))

    class Workload:
        answered = frozenset({"ok"})
        def requests(self, *, seed, count, parameters):
            return [Request("GET", "/")] * count
        def outcome(self, status):
            return "ok" if status == 200 else "failed"

    SCENARIO = Scenario(
        name="swept",
        title="Swept",
        question="How long?",
        lanes=tuple(Lane(name, name, "", "", "swept_service:build") for name in ("one", "two")),
        baseline="one",
        workload=Workload(),
        parameters=(
            Parameter("wait_ms", 1.0, "ms", "the wait", 0, 100.0),
            Parameter("kind", "plain", "", "a word"),
        ),
    )
"""
GRID: dict[str, tuple[Any, ...]] = {"wait_ms": (1, 20), "rate": (40,)}


@pytest.fixture(scope="module", autouse=True)
def installed(installing: Callable[[str, str], Path]) -> Path:
    return installing("swept", SERVICE)


def plan(**changes: Any) -> SweepPlan:
    given: dict[str, Any] = {
        "scenario": "swept", "grid": GRID, "lanes": ("one",), "seed": 5, "duration_s": 0.4, "pairs": 1,
        "quick": True,
    }  # fmt: skip
    return SweepPlan(**{**given, **changes})


def seen(sweep: Sweep) -> list[tuple[object, ...]]:
    """What must be alike wherever a sweep runs: points, arms, schedules."""
    return [
        (*point.values(), row.arm, row.block, row.seed, row.requests)
        for point in sweep.plan.points
        for row in Recording.open(sweep.place(point)).runs.itertuples()
    ]


@pytest.fixture(scope="module")
def whole(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    sweep = Sweep(tmp_path_factory.mktemp("sweep") / "whole", plan(), "labcore sweep swept")
    run_sweep(sweep)
    return sweep


def test_every_combination_is_a_point_with_its_own_folder_and_seed():
    wide = plan(grid={"wait_ms": (1, 20), "rate": (30, 60), "kind": ("a b", "c/d")})
    assert len(wide.points) == 8
    assert wide.points[1] == {"wait_ms": 1.0, "rate": 30.0, "kind": "c/d"}
    assert wide.folder(wide.points[1]) == "points/wait_ms=1,rate=30,kind=c_d"
    assert len({wide.folder(point) for point in wide.points}) == 8
    assert len({wide.seed_of(point) for point in wide.points}) == 8


def test_a_plan_survives_json():
    document = json.loads(json.dumps(plan(lanes=("one", "two")).setting()))
    assert SweepPlan.from_setting(document) == plan(lanes=("one", "two"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"grid": {}}, "no side"),
        ({"grid": {"wait_ms": ()}}, "different values"),
        ({"grid": {"wait_ms": (1, 1)}}, "different values"),
        ({"grid": {"wait_ms": (1, 500)}}, "500"),
        ({"grid": {"colour": ("red",)}}, "colour"),
        ({"grid": {"rate": (0,)}}, "rate=0"),
        ({"grid": {"rate": ("fast",)}}, "rate='fast'"),
        ({"grid": {"wait_ms": (1,)}, "parameters": {"wait_ms": 2}}, "set and on the grid"),
        ({"lanes": ("three",)}, "three"),
        ({"scenario": "swepd"}, "swepd"),
        ({"grid": {"wait_ms": tuple(range(100)), "rate": tuple(range(1, 102))}}, "10000 points"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_starts(changes: dict[str, Any], told: str):
    with pytest.raises(UsageError, match=told):
        plan(**changes)


def test_sides_are_read_as_a_user_writes_them():
    assert sides(["a=1,2", "b = x"]) == {"a": ("1", "2"), "b": ("x",)}
    for wrong in (["a"], ["a="], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(UsageError, match="--grid"):
            sides(wrong)


@pytest.mark.slow
def test_the_table_has_a_row_a_point_arm_and_metric(whole: Sweep):
    assert whole.complete
    table = whole.table
    assert set(table["arm"]) == {"control"}
    assert table.groupby(["wait_ms", "rate"]).ngroups == 2
    slow = table[(table.wait_ms == 20) & (table.metric == "p50_ms")]
    assert (slow["value"].dropna() > 15).all()  # unknown where other work made every run void
    stored = pd.read_csv(whole.path / "table.csv")
    assert len(stored) == len(table)
    assert Sweep.open(whole.path).table.equals(table)


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_and_repeats_no_finished_point(tmp_path: Path, whole: Sweep):
    sweep, stop, notices = Sweep(tmp_path / "cut", plan()), Event(), list[str]()

    def stop_in_the_second(kind: str, payload: dict[str, Any]) -> None:
        if kind == "notice" and "point" in payload["message"]:
            notices.append(payload["message"])
        if len(notices) == 1 and kind == "progress":
            stop.set()

    with pytest.raises(InterruptedRunError, match="1 point to go"):
        run_sweep(sweep, on_event=stop_in_the_second, cancelled=stop)
    assert notices[0].startswith("1 of 2 points, about ")
    first = sweep.place(sweep.plan.points[0])
    finished_at = Recording.open(first).experiment["finished_at"]
    again = Sweep.open(sweep.path)
    run_sweep(again)
    assert again.complete
    assert Recording.open(first).experiment["finished_at"] == finished_at
    assert [row for row in seen(again) if row[0] == 1.0] == [
        row for row in seen(whole) if row[0] == 1.0
    ]
    assert again.table[["wait_ms", "rate", "arm", "metric"]].equals(
        whole.table[["wait_ms", "rate", "arm", "metric"]]
    )


@pytest.mark.slow
def test_a_cluster_gives_the_same_points_schedules_and_counts(tmp_path: Path, whole: Sweep):
    sweep = Sweep(tmp_path / "spread", plan())
    run_sweep(sweep, scheduler=sweeping.LOCAL)
    assert sweep.complete
    assert seen(sweep) == seen(whole)
    assert list(sweep.path.glob("points/.*")) == []


def test_a_scheduler_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweeping, "CONNECT_PATIENCE", "1s")
    with pytest.raises(UsageError, match=r"tcp://127\.0\.0\.1:1"):
        run_sweep(Sweep(tmp_path / "nowhere", plan()), scheduler="tcp://127.0.0.1:1")


def test_a_folder_that_holds_no_sweep_says_so(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no sweep"):
        Sweep.open(tmp_path)
    (tmp_path / "sweep.json").write_text('{"format": "x"}')
    with pytest.raises(UsageError, match="another's"):
        Sweep.open(tmp_path)
