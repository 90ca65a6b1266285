"""Each client counts what it was answered; one that is not installed says how to get it."""

import math
import shutil
from collections.abc import Callable, Iterator

import pytest

from labcore.cli.bench import clients
from labcore.cli.bench.clients import Counted, Missing
from labcore.lanes import Child
from labcore.measure import reference

TOOLS = {"wrk": clients.wrk, "hey": clients.hey}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Child(reference.TARGET, {}, name="reference") as child:
        yield child.wait_ready(10)["url"]


@pytest.mark.parametrize("client", [clients.aiohttp, clients.httpx])
def test_a_closed_client_counts_its_answers_and_its_cost(url: str, client: Callable[..., Counted]):
    counted = client(url, seconds=0.2, connections=2, core=0)
    assert counted.requests > 10
    assert counted.wall_s >= 0.2
    assert counted.user_s > 0
    assert math.isnan(counted.lateness_p50_us)


def test_the_bare_loop_sends_its_schedule_and_is_never_early(url: str):
    counted = clients.bare(url, seconds=0.3, connections=64, core=0, rate=300)
    assert 40 < counted.requests < 140
    assert 0 <= counted.lateness_p50_us <= counted.lateness_p99_us


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_counted_by_its_own_report(url: str, name: str):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    counted = TOOLS[name](url, seconds=1, connections=2, core=0)
    assert counted.requests > 100
    assert counted.wall_s >= 0.9
    assert counted.row(f"{name}, closed")["driver"] == f"{name}, closed"


def test_locust_is_counted_from_the_time_its_users_are_there(url: str):
    pytest.importorskip("geventhttpclient", reason="locust is not installed")
    counted = clients.locust(url, seconds=0.3, connections=2, core=0)
    assert counted.requests > 10
    assert counted.wall_s >= 0.3


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_that_is_not_installed_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Missing, match=f"apt-get install {name}"):
        TOOLS[name]("http://127.0.0.1:9", seconds=1, connections=1, core=0)


def test_cost_is_shared_among_the_requests():
    row = Counted(requests=1_000, wall_s=2.0, user_s=0.02, system_s=0.03).row("x")
    assert row["requests_per_s"] == 500
    assert row["cpu_us_per_request"] == pytest.approx(50)
    assert row["system_us_per_request"] == pytest.approx(30)
    assert row["cpu_share"] == pytest.approx(0.025)
