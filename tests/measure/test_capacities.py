"""Searches on a real server that can do just so much: one request at a time, ten milliseconds each."""

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest

from labcore.kernel import InterruptedRunError, UsageError
from labcore.measure import capacities as room
from labcore.measure.capacities import Capacity, capacity, capacity_async, resume_capacity
from labcore.measure.recording import Recording
from labcore.measure.search import Ladder

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

    def build(setting):
        counter = asyncio.Semaphore(1)
        async def answer(request):
            async with counter:
                await asyncio.sleep(setting.parameters["service_ms"] / 1000)  # simulated work
            return PlainTextResponse("done")
        async def healthy(_):
            return PlainTextResponse("ok")
        app = Starlette(routes=[Route("/", answer), Route("/healthz", healthy)])
        return Service(app=app)

    class Workload:
        answered = frozenset({"ok"})
        def requests(self, *, seed, count, parameters):
            return [Request("GET", "/")] * count
        def outcome(self, status):
            return "ok" if status == 200 else "failed"

    SCENARIO = Scenario(
        name="counter",
        title="Counter",
        question="How many can one clerk serve?",
        lanes=(Lane("clerk", "clerk", "", "", "counter_service:build"),),
        baseline="clerk",
        workload=Workload(),
        parameters=(Parameter("service_ms", 10.0, "ms", "of one request", 1.0, 100.0),),
    )
"""
SCRIPT = """
    import sys
    from pathlib import Path
    from labcore.measure.capacities import capacity

    def say(kind, payload):
        if kind in {"run_finished", "run_started"}:
            print(kind, flush=True)

    capacity("counter", objective="p99<60ms", out=Path(sys.argv[1]), quick=True, on_event=say)
"""
LADDER = Ladder(lowest_per_s=25, highest_per_s=400, start_per_s=50, steps_per_doubling=1)
SHORT: dict[str, Any] = {"duration_s": 0.5, "warmup_s": 0, "ladder": LADDER, "seed": 1}


@pytest.fixture(scope="module", autouse=True)
def installed(installing: Callable[..., Path]) -> Path:
    return installing("counter", SERVICE)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LEAST_REQUESTS", 20)


Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def measured(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Capacity, Told]:
    told: Told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "LEAST_REQUESTS", 20)
        found = capacity(
            "counter",
            objective="p99<80ms",
            out=tmp_path_factory.mktemp("whole") / "run",
            on_event=lambda kind, payload: told.append((kind, payload)),
            **SHORT,
        )
    return found, told


def test_no_clerk_serves_more_than_time_allows(measured: tuple[Capacity, Told]):
    """Ten milliseconds each make a hundred a second, whatever the machine does meanwhile."""
    (result,) = measured[0].results
    assert result.state != "interrupted"
    assert not result.highest_passing_per_s > 100
    assert math.isnan(result.lowest_failing_per_s) or result.lowest_failing_per_s >= 50
    assert result.objective == "p99<80ms,errors<1%"


def test_the_recording_is_complete_and_judges_itself(measured: tuple[Capacity, Told]):
    recording = Recording.open(measured[0].recording.path)
    assert (recording.kind, recording.complete) == ("capacity", True)
    assert repr(Capacity(recording).results) == repr(measured[0].results)
    written = json.loads((recording.path / "capacity.json").read_text())
    assert [each["lane"] for each in written] == ["clerk"]
    assert written[0]["sentence"] == measured[0].results[0].sentence
    assert recording.experiment["projected_s"] > 0


def test_every_run_is_at_the_rate_of_its_rung(measured: tuple[Capacity, Told]):
    started = [payload for kind, payload in measured[1] if kind == "run_started"]
    assert started[0]["rate_per_s"] == 50
    runs = measured[0].recording.runs
    assert [LADDER.rate_per_s(rung) for rung in runs["block"]] == [
        payload["rate_per_s"] for payload in started
    ]
    assert runs.groupby("block")["attempt"].apply(list).map(lambda tries: tries[0] == 1).all()
    tries = list(zip(runs["block"], runs["attempt"], strict=True))
    assert len(set(tries)) == len(tries)


def test_the_view_hears_of_brackets_and_of_the_end(measured: tuple[Capacity, Told]):
    kinds = [kind for kind, _ in measured[1]]
    assert kinds.count("bracket") == kinds.count("run_finished") == len(measured[0].recording.runs)
    assert kinds[-1] == "capacities"
    assert measured[1][-1][1]["complete"] is True


def test_the_recorded_command_says_everything(measured: tuple[Capacity, Told]):
    command = measured[0].recording.experiment["command"]
    assert command.startswith("labcore capacity counter --objective 'p99<80ms,errors<1%'")
    for words in ("--seed 1", "--duration 0.5", "--highest 400", "--set service_ms=10.0"):
        assert words in command


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"objective": "p99>5ms"}, "no upper bound"),
        ({"lanes": ["nobody"]}, "no lane 'nobody'"),
        ({"lanes": []}, "no lane to search"),
        ({"duration_s": 0.0}, "duration_s=0"),
    ],
)
def test_bad_input_leaves_no_directory(tmp_path: Path, wrong: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        capacity("counter", **{"objective": "p99<60ms", "out": tmp_path / "run", **wrong})
    assert not (tmp_path / "run").exists()


def test_a_search_cut_short_goes_on_from_what_it_tried(tmp_path: Path):
    cancelled = Event()

    def stop(kind: str, _: dict[str, Any]) -> None:
        if kind == "run_finished":
            cancelled.set()

    few = SHORT | {"ladder": Ladder(25, 100, 50, 1), "objective": "p99<80ms"}
    with pytest.raises(InterruptedRunError, match="1 run kept"):
        capacity("counter", out=tmp_path / "run", on_event=stop, cancelled=cancelled, **few)
    before = Recording.open(tmp_path / "run")
    assert not before.complete
    assert Capacity(before).results[0].state == "interrupted"
    resumed = resume_capacity(tmp_path / "run", force=True)
    assert resumed.recording.complete
    assert resumed.results[0].state != "interrupted"
    assert resumed.recording.runs.iloc[:1]["started_at"].equals(before.runs["started_at"])
    with pytest.raises(UsageError, match="nothing to resume"):
        resume_capacity(tmp_path / "run")


async def test_cancelling_the_task_waits_for_an_orderly_stop(tmp_path: Path):
    loop = asyncio.get_running_loop()
    under_way = asyncio.Event()

    def listen(kind: str, _: dict[str, Any]) -> None:
        if kind == "progress":
            loop.call_soon_threadsafe(under_way.set)

    task = asyncio.create_task(
        capacity_async(
            "counter",
            objective="p99<60ms",
            duration_s=60,
            out=tmp_path / "run",
            on_event=listen,
        )
    )
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    recording = Recording.open(tmp_path / "run")
    assert (recording.complete, len(recording.runs)) == (False, 0)


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
    assert "1 run kept" in errors
    assert psutil.wait_procs(family, timeout=20)[1] == []
    recording = Recording.open(tmp_path / "run")
    assert not recording.complete
    assert Capacity(recording).results[0].state == "interrupted"
    assert json.loads((tmp_path / "run" / "capacity.json").read_text())
