"""Maps of a real server, small as they come: two waits by two rates, one pair a cell."""

import asyncio
import json
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
from labcore.measure.cells import crossover_result
from labcore.measure.crossings import crossover, crossover_async, resume_crossover
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

    FACTOR = {"single": 1, "double": 2}

    def build(setting):
        wait_s = setting.parameters["wait_ms"] / 1000 * FACTOR[setting.lane]
        async def answer(request):
            await asyncio.sleep(wait_s)  # simulated work
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
        name="waits",
        title="Waits",
        question="Where does waiting twice hurt?",
        lanes=tuple(Lane(name, name, "", "", "waits_service:build") for name in FACTOR),
        baseline="single",
        workload=Workload(),
        parameters=(
            Parameter("wait_ms", 1.0, "ms", "of one request", 0.0, 100.0),
            Parameter("polite", True, "", "says please"),
        ),
    )
"""
SCRIPT = """
    import sys
    from pathlib import Path
    from labcore.measure.crossings import crossover

    def say(kind, payload):
        if kind in {"cell_finished", "run_started"}:
            print(kind, flush=True)

    crossover("waits", lanes=["single", "double"], parameter="wait_ms", values=[1, 20], rates=[40, 80],
              pairs=1, duration_s=0.3, warmup_s=0, out=Path(sys.argv[1]), on_event=say)
"""
SMALL: dict[str, Any] = {
    "lanes": ["single", "double"],
    "parameter": "wait_ms",
    "values": [20, 1],
    "rates": [40, 80],
    "pairs": 1,
    "duration_s": 0.3,
    "warmup_s": 0,
    "seed": 2,
}


@pytest.fixture(scope="module", autouse=True)
def installed(installing: Callable[..., Path]) -> Path:
    return installing("waits", SERVICE)


Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def measured(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Told]:
    told: Told = []
    recording = crossover(
        "waits",
        out=tmp_path_factory.mktemp("whole") / "map",
        on_event=lambda kind, payload: told.append((kind, payload)),
        **SMALL,
    )
    return recording, told


def test_every_cell_is_a_comparison_of_its_own(measured: tuple[Recording, Told]):
    result = crossover_result(Recording.open(measured[0].path))
    assert result.complete
    assert all(cell.measured for cell in result.cells)
    for cell in result.cells:
        inner = Recording.open(measured[0].path / cell.path)
        assert (inner.kind, inner.complete) == ("compare", True)
        assert inner.design.rate_per_s == cell.rate_per_s
        assert inner.design.parameters == {"wait_ms": cell.value, "polite": True}
        assert set(inner.runs["arm"]) == {"single", "double"}
    seeds = {Recording.open(measured[0].path / cell.path).design.seed for cell in result.cells}
    assert len(seeds) == 4


def test_the_map_is_written_for_others_to_read(measured: tuple[Recording, Told]):
    written = json.loads((measured[0].path / "crossover.json").read_text())
    assert (written["parameter"], written["values"]) == ("wait_ms", [1, 20])
    assert len(written["cells"]) == 4
    assert measured[0].experiment["projected_s"] > 0


def test_the_view_hears_of_cells_and_counts_runs_over_all_of_them(measured: tuple[Recording, Told]):
    kinds = [kind for kind, _ in measured[1]]
    assert kinds.count("cell_started") == kinds.count("cell_finished") == 4
    assert (kinds[0], kinds[-1]) == ("experiment_started", "crossover")
    started = [payload for kind, payload in measured[1] if kind == "run_started"]
    assert all(payload["planned"] == 8 for payload in started)
    counts = [payload["settled"] for payload in started]
    assert (counts[0], counts[-1]) == (0, 7)
    assert counts == sorted(counts)
    assert all({"value", "rate_per_s", "arm"} <= set(payload) for payload in started)
    assert any(
        "cells to go" in payload["message"] for kind, payload in measured[1] if kind == "notice"
    )


def test_the_recorded_command_says_everything(measured: tuple[Recording, Told]):
    command = measured[0].experiment["command"]
    assert command.startswith("labcore crossover waits --lanes single,double --grid wait_ms=1,20")
    assert "--rates 40,80" in command
    assert "--set polite=True" in command
    assert "--set wait_ms" not in command


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lanes": ["single"]}, "a crossover is of two"),
        ({"lanes": ["single", "nobody"]}, "no lane 'nobody'"),
        ({"parameter": "nothing"}, "no parameter 'nothing'"),
        ({"parameter": "polite", "values": [1]}, "no number"),
        ({"values": [1, 500]}, "wait_ms=500"),
        ({"values": []}, "wait_ms="),
        ({"rates": [-5]}, "rates above 0"),
        ({"metric": "speed"}, "no metric 'speed'"),
        ({"parameters": {"wait_ms": 3}}, "give it once"),
        ({"pairs": 0}, "pairs=0"),
    ],
)
def test_bad_input_leaves_no_directory(tmp_path: Path, wrong: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        crossover("waits", out=tmp_path / "map", **(SMALL | wrong))
    assert not (tmp_path / "map").exists()


def test_a_map_cut_short_goes_on_with_the_cells_it_has(tmp_path: Path):
    cancelled, finished = Event(), []

    def stop_in_the_second_cell(kind: str, _: dict[str, Any]) -> None:
        finished.append(kind)
        if kind == "run_finished" and finished.count("run_finished") == 3:
            cancelled.set()

    with pytest.raises(InterruptedRunError, match="1 of 4 cells kept"):
        crossover(
            "waits",
            out=tmp_path / "map",
            on_event=stop_in_the_second_cell,
            cancelled=cancelled,
            **SMALL,
        )
    before = crossover_result(Recording.open(tmp_path / "map"))
    (kept,) = [cell for cell in before.cells if cell.measured]
    began = Recording.open(tmp_path / "map" / kept.path).experiment["started_at"]
    resumed = resume_crossover(tmp_path / "map", force=True)
    assert resumed.complete
    assert all(cell.measured for cell in crossover_result(resumed).cells)
    assert Recording.open(tmp_path / "map" / kept.path).experiment["started_at"] == began
    with pytest.raises(UsageError, match="nothing to resume"):
        resume_crossover(tmp_path / "map")


async def test_cancelling_the_task_waits_for_an_orderly_stop(tmp_path: Path):
    loop = asyncio.get_running_loop()
    under_way = asyncio.Event()

    def listen(kind: str, _: dict[str, Any]) -> None:
        if kind == "progress":
            loop.call_soon_threadsafe(under_way.set)

    endless = SMALL | {"duration_s": 60}
    task = asyncio.create_task(
        crossover_async("waits", out=tmp_path / "map", on_event=listen, **endless)
    )
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    result = crossover_result(Recording.open(tmp_path / "map"))
    assert [cell.measured for cell in result.cells] == [False] * 4


def test_an_interrupt_leaves_a_partial_map_and_no_process(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # the lock's folder
    command = [sys.executable, str(script), str(tmp_path / "map")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        while said[-2:] != ["cell_finished", "run_started"]:
            said.append(process.stdout.readline().strip())
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "1 of 4 cells kept" in errors
    assert psutil.wait_procs(family, timeout=20)[1] == []
    result = crossover_result(Recording.open(tmp_path / "map"))
    assert sum(cell.measured for cell in result.cells) == 1
    assert json.loads((tmp_path / "map" / "crossover.json").read_text())["complete"] is False
