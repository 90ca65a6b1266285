"""Whole experiments on a real scenario, small as they come: two lanes that wait, no database."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest

from labcore.kernel import InterruptedRunError, UsageError
from labcore.measure.experiment import Comparison, compare, compare_async, look, resume_comparison
from labcore.measure.record import CONTROL
from labcore.measure.recording import Recording

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("nothing_left_behind"),
]

SERVICE = """
    import asyncio
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from labcore.lanes import Lane, Parameter, Request, Scenario, Service

    WAIT_S = {"brief": 0.002, "long": 0.03}

    def build(setting):
        inside = set()
        async def answer(request):
            inside.add(request)
            await asyncio.sleep(WAIT_S[setting.lane] * setting.parameters["factor"])  # simulated work
            inside.discard(request)
            return PlainTextResponse("done")
        async def healthy(_):
            return PlainTextResponse("ok")
        app = Starlette(routes=[Route("/", answer), Route("/healthz", healthy)])
        return Service(app=app, gauges=lambda: {"in_flight": len(inside)})

    class Workload:
        answered = frozenset({"ok"})
        def requests(self, *, seed, count, parameters):
            return [Request("GET", "/")] * count
        def outcome(self, status):
            return "ok" if status == 200 else "failed"

    SCENARIO = Scenario(
        name="waiting",
        title="Waiting",
        question="Which waits longer?",
        lanes=tuple(Lane(name, name, "", "", "waiting_service:build") for name in WAIT_S),
        baseline="brief",
        workload=Workload(),
        parameters=(Parameter("factor", 1.0, "", "stretches the wait", 0.1, 10.0),),
    )
"""
SCRIPT = """
    import sys
    from pathlib import Path
    from labcore.measure.experiment import compare

    def say(kind, payload):
        if kind in {"run_finished", "run_started"}:
            print(kind, flush=True)

    compare("waiting", rate=50, duration_s=0.3, warmup_s=0, out=Path(sys.argv[1]), on_event=say)
"""


@pytest.fixture(scope="module", autouse=True)
def installed(installing: Callable[..., Path]) -> Path:
    """The scenario, installed through the same door as any user's, and a lock of this test's own."""
    return installing("waiting", SERVICE)


Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def measured(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Told]:
    told: Told = []
    comparison = compare(
        "waiting",
        rate=100,
        duration_s=0.5,
        warmup_s=0.1,
        pairs=6,
        parameters={"factor": 0.5},
        seed=3,
        repeats=1,
        out=tmp_path_factory.mktemp("whole") / "run",
        on_event=lambda kind, payload: told.append((kind, payload)),
    )
    return comparison, told


def test_the_recording_is_complete_and_opens(measured: tuple[Comparison, Told]):
    recording = Recording.open(measured[0].recording.path)
    assert recording.experiment["status"] == "complete"
    assert recording.experiment["projected_s"] > 0
    assert recording.design.parameters == {"factor": 0.5}
    assert repr(recording.verdicts) == repr(measured[0].verdicts)


def test_every_block_has_every_arm_under_one_schedule(measured: tuple[Comparison, Told]):
    runs = measured[0].recording.runs
    assert set(runs["arm"]) == {"brief", "long", CONTROL}
    assert runs.groupby("block")["arm"].nunique().tolist() == [3] * 6
    assert runs.groupby("block")[["seed", "requests"]].nunique().to_numpy().max() == 1
    assert runs.loc[runs["arm"] == CONTROL, "lane"].eq("brief").all()


def test_void_runs_are_repeated_as_often_as_allowed(measured: tuple[Comparison, Told]):
    runs = measured[0].recording.runs
    tries = runs.groupby(["block", "arm"])["void"].agg(list)
    for voids in tries:
        assert len(voids) <= 2
        assert all(voids[:-1])
    spare = 18 // 4
    assert len(runs) - 18 <= spare
    given_up = sum(voids == [True] for voids in tries)
    assert not given_up or len(runs) - 18 == spare
    assert (runs["why"] != "").equals(runs["void"])


def test_requests_and_samples_of_every_run_are_there(measured: tuple[Comparison, Told]):
    recording = measured[0].recording
    for row in recording.runs.itertuples():
        requests = recording.requests(str(row.run))
        assert len(requests) == row.requests
        assert requests["intended_ns"].is_monotonic_increasing
        samples = recording.samples(str(row.run))
        assert {"server", "driver", "machine"} <= set(samples["source"])
        assert samples["at_s"].min() < 0


def test_the_longer_wait_shows_in_every_run(measured: tuple[Comparison, Told]):
    runs = measured[0].recording.runs
    assert runs.loc[runs["arm"] == "long", "p50_ms"].min() >= 15
    assert (runs["error_share"] == 0).all()
    assert (runs["cpu_per_request_us"] > 0).all()


def test_verdicts_speak_of_every_arm_and_metric(measured: tuple[Comparison, Told]):
    verdicts = measured[0].verdicts
    assert {verdict.arm for verdict in verdicts} == {"long", CONTROL}
    assert len(verdicts) == 10
    latency = next(v for v in verdicts if (v.arm, v.metric) == ("long", "p50_ms"))
    assert latency.pairs + latency.void_pairs == 6
    # Pairs that other work on this machine made void leave too few for a decision.
    assert latency.word == "slower" if latency.pairs == 6 else latency.word in {"undecided", "void"}


def test_the_view_is_told_everything_in_order(measured: tuple[Comparison, Told]):
    comparison, told = measured
    kinds = Counter(kind for kind, _ in told)
    count = len(comparison.recording.runs)
    assert kinds["run_started"] == kinds["run_finished"] == count
    assert kinds["block_started"] == 6
    assert kinds["experiment_started"] == kinds["verdicts"] == 1
    assert kinds["sample"] > count
    assert kinds["progress"] >= count
    assert any("left" in payload["message"] for kind, payload in told if kind == "notice")
    last = [payload for kind, payload in told if kind == "run_finished"][-1]
    assert (last["planned"], last["settled"]) == (18, 17)


def test_what_is_told_while_a_run_lasts_says_which_run(measured: tuple[Comparison, Told]):
    live = [payload for kind, payload in measured[1] if kind in {"sample", "progress"}]
    assert all({"run", "block", "arm", "elapsed_s"} <= set(payload) for payload in live)


def test_the_recorded_command_names_the_seed(measured: tuple[Comparison, Told]):
    assert "seed=3" in measured[0].recording.experiment["command"]


def test_an_occupied_directory_is_refused_before_anything_starts(tmp_path: Path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(UsageError, match="is not empty"):
        compare("waiting", out=tmp_path)


def test_bad_input_leaves_no_directory(tmp_path: Path):
    for wrong in ({"rate": -1.0}, {"lanes": ["nobody"]}, {"parameters": {"nothing": 1}}):
        with pytest.raises(UsageError):
            compare("waiting", out=tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("lanes", [["long"], ["long", "brief"]])
def test_a_look_has_one_run_of_each_lane(tmp_path: Path, lanes: list[str]):
    found = look("waiting", lanes=lanes, rate=50, duration_s=0.3, out=tmp_path / "look")
    assert sorted(found.recording.runs["arm"]) == sorted(lanes)


def test_a_baseline_alone_has_nothing_to_be_compared_with(tmp_path: Path):
    with pytest.raises(UsageError, match="nothing to compare"):
        compare("waiting", lanes=["brief"], control=False, out=tmp_path / "run")


def test_cancelling_keeps_what_was_measured(tmp_path: Path):
    cancelled = Event()

    def stop_after_one(kind: str, _: dict[str, Any]) -> None:
        if kind == "run_finished":
            cancelled.set()

    with pytest.raises(InterruptedRunError, match="1 run kept"):
        compare(
            "waiting",
            rate=50,
            duration_s=0.3,
            warmup_s=0,
            out=tmp_path / "run",
            on_event=stop_after_one,
            cancelled=cancelled,
        )
    recording = Recording.open(tmp_path / "run")
    assert recording.experiment["status"] == "partial"
    assert recording.experiment["finished_at"] is not None
    assert len(recording.runs) == 1


def test_cancelling_in_the_middle_of_a_run_discards_that_run(tmp_path: Path):
    cancelled = Event()

    def stop_soon(kind: str, _: dict[str, Any]) -> None:
        if kind == "progress":
            cancelled.set()

    with pytest.raises(InterruptedRunError, match="0 runs kept"):
        compare(
            "waiting",
            rate=50,
            duration_s=60,
            out=tmp_path / "run",
            on_event=stop_soon,
            cancelled=cancelled,
        )
    recording = Recording.open(tmp_path / "run")
    assert recording.runs.empty
    assert list((tmp_path / "run" / "requests").iterdir()) == []


@pytest.fixture
def cut_short(tmp_path: Path) -> Path:
    """A comparison of two blocks of three runs, cancelled after the fourth run."""
    cancelled, finished = Event(), Counter[str]()

    def stop_after_four(kind: str, _: dict[str, Any]) -> None:
        finished[kind] += 1
        if finished["run_finished"] == 4:
            cancelled.set()

    with pytest.raises(InterruptedRunError, match="4 runs kept"):
        compare(
            "waiting",
            rate=50,
            duration_s=0.3,
            warmup_s=0,
            pairs=2,
            seed=5,
            repeats=0,
            out=tmp_path / "run",
            on_event=stop_after_four,
            cancelled=cancelled,
        )
    return tmp_path / "run"


def test_a_resumed_comparison_keeps_whole_blocks_and_repeats_the_half_one(cut_short: Path):
    before = Recording.open(cut_short)
    resumed = resume_comparison(cut_short, force=True).recording
    runs = resumed.runs
    assert resumed.complete
    assert len(runs) == 3 + 1 + 3
    kept = ["run", "block", "arm", "seed", "p50_ms", "started_at"]
    assert runs[kept].iloc[:4].equals(before.runs[kept])
    half = runs.iloc[3]
    assert bool(half["void"])
    assert "cut short" in half["why"]
    again = runs.iloc[4:]
    assert set(again["block"]) == {1}
    assert set(again["arm"]) == {"brief", "long", CONTROL}
    assert set(again["seed"]) == {half["seed"]}
    assert again.loc[again["arm"] == half["arm"], "attempt"].tolist() == [2]
    assert resumed.experiment["seeds"] == before.experiment["seeds"]
    assert resumed.experiment["resumed"][0]["runs_before"] == 4


def test_a_complete_comparison_is_not_resumed(measured: tuple[Comparison, Told]):
    with pytest.raises(UsageError, match="nothing to resume"):
        resume_comparison(measured[0].recording.path)


async def test_cancelling_the_task_waits_for_an_orderly_stop(tmp_path: Path):
    loop = asyncio.get_running_loop()
    under_way = asyncio.Event()

    def listen(kind: str, _: dict[str, Any]) -> None:
        if kind == "progress":
            loop.call_soon_threadsafe(under_way.set)

    task = asyncio.create_task(
        compare_async("waiting", rate=50, duration_s=60, out=tmp_path / "run", on_event=listen)
    )
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    recording = Recording.open(tmp_path / "run")
    assert recording.experiment["status"] == "partial"
    assert recording.experiment["finished_at"] is not None


async def test_the_async_twin_passes_errors_on(tmp_path: Path):
    with pytest.raises(UsageError, match="rate=-1"):
        await compare_async("waiting", rate=-1, out=tmp_path / "run")


def test_an_interrupt_leaves_a_partial_recording_and_no_process(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # the lock's folder
    command = [sys.executable, str(script), str(tmp_path / "run")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        while said[-2:] != ["run_finished", "run_started"]:
            said.append(process.stdout.readline().strip())
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "InterruptedRunError" in errors
    assert "1 run kept" in errors
    assert psutil.wait_procs(family, timeout=20)[1] == []
    recording = Recording.open(tmp_path / "run")
    assert recording.experiment["status"] == "partial"
    assert len(recording.runs) == 1
