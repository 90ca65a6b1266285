import os
import queue
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from labcore.kernel import EnvironmentFault, PeerError, UsageError
from labcore.lanes import (
    DatabaseServer,
    ForeignLane,
    Lane,
    Parameter,
    Peer,
    Request,
    Scenario,
    Stage,
    Values,
)

READY_S = 15.0
FOREIGN = Path(__file__).parent / "services" / "foreign_server.py"

pytestmark = pytest.mark.timeout(60)


class NoWorkload:
    """This scenario is deployed, not loaded."""

    answered = frozenset({"ok"})

    def requests(self, *, seed: int, count: int, parameters: Values) -> Sequence[Request]:
        """Nothing random: one request, again and again."""
        del seed, parameters
        return [Request("POST", "/count")] * count

    def outcome(self, status: int) -> str:
        """Only 200 is right."""
        return "ok" if status == 200 else "failed"


def prepare(url: str, values: Values) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE counter (value int)")
        connection.execute("INSERT INTO counter VALUES (%s)", [values["first"]])


def lane(name: str, target: str = "lab_children:build_counter") -> Lane:
    return Lane(name=name, title=name, waiting="-", java="-", target=target)


COUNTING = Scenario(
    name="counting",
    title="Counting",
    question="How much is it?",
    lanes=(
        lane("reactive"),
        lane("broken", "lab_children:build_failing"),
        lane("plain", "lab_children:build"),
    ),
    baseline="reactive",
    workload=NoWorkload(),
    parameters=(Parameter("first", 10, "", "start"), Parameter("step", 1, "", "step", low=1)),
    peers=(Peer("payment-adapter", "lab_children:build"),),
    prepare=prepare,
)


@pytest.fixture(scope="module")
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    with Stage(COUNTING, {"step": 2}, server=database_server) as stage:
        yield stage


def count(url: str) -> int:
    return int(httpx.post(f"{url}/count", timeout=READY_S).json()["value"])


def databases(server: DatabaseServer) -> set[str]:
    with psycopg.connect(server.url) as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
    return {name for (name,) in rows}


def refuses(url: str) -> bool:
    parts = httpx.URL(url)
    try:
        socket.create_connection((parts.host, parts.port or 0)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_every_deployment_starts_from_the_prepared_state(stage: Stage):
    for _ in range(2):
        with stage.deploy("reactive") as deployment:
            assert [count(deployment.url), count(deployment.url)] == [12, 14]


def test_a_deployment_leaves_nothing_behind(stage: Stage, database_server: DatabaseServer):
    before = databases(database_server)
    children = set(psutil.Process().children())
    with stage.deploy("reactive") as deployment:
        urls = [deployment.url, *deployment.peers.values()]
        assert len(urls) == 2
        assert not any(refuses(url) for url in urls)
        assert databases(database_server) > before
    assert all(refuses(url) for url in urls)
    assert databases(database_server) == before
    assert set(psutil.Process().children()) == children


def test_peers_are_hosted_and_known_to_the_server(stage: Stage):
    with stage.deploy("reactive") as deployment:
        (name, url) = next(iter(deployment.peers.items()))
        assert name == "payment-adapter"
        assert httpx.get(url).text == "lane payment-adapter, 0 bytes"
        assert httpx.post(f"{deployment.url}/count").json()["peers"] == {name: url}


def test_a_restart_kills_the_server_and_keeps_its_database(stage: Stage):
    with stage.deploy("reactive") as deployment:
        site = deployment.site()
        assert count(site.url) == 12
        assert deployment.server is not None
        killed = deployment.server
        assert site.restart is not None
        url = site.restart()
        assert killed.exit_code == -9
        assert refuses(site.url) or url == site.url
        assert count(url) == 14
        assert deployment.url == url
        assert deployment.site().peers == site.peers


def test_a_site_tells_what_was_deployed(stage: Stage):
    with stage.deploy("reactive") as deployment:
        site = deployment.site()
        assert site.parameters == {"first": 10, "step": 2}
        assert site.database_url is not None
        with psycopg.connect(site.database_url) as connection:
            assert connection.execute("SELECT value FROM counter").fetchone() == (10,)
    assert "postgresql" not in repr(site)


def test_samples_reach_the_stage_with_run_queue_delay(stage: Stage):
    samples: queue.Queue[dict[str, Any]] = queue.Queue()
    with stage.deploy("plain", on_sample=samples.put) as deployment:
        first = samples.get(timeout=READY_S)
        deployment.sample_now()
        asked = samples.get(timeout=READY_S)
        while "run_delay_s" not in asked:
            asked = samples.get(timeout=READY_S)
    assert first["worker_pool_size"] == asked["worker_pool_size"] == 4
    assert asked["run_delay_s"] >= first["run_delay_s"] > 0
    assert asked["cpu_s"] >= first["cpu_s"] > 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this platform cannot pin")
def test_only_the_server_is_pinned(stage: Stage):
    core = max(os.sched_getaffinity(0))
    with stage.deploy("plain", cpus=frozenset({core})) as deployment:
        assert deployment.server is not None
        assert os.sched_getaffinity(deployment.server.pid) == {core}


def test_a_lane_that_does_not_start_says_why_and_leaves_nothing(
    stage: Stage, database_server: DatabaseServer
):
    before = databases(database_server)
    children = set(psutil.Process().children())
    with pytest.raises(PeerError, match="start-up"), stage.deploy("broken"):
        pass
    assert databases(database_server) == before
    assert set(psutil.Process().children()) == children


def test_an_unknown_lane_or_parameter_is_refused(stage: Stage):
    with pytest.raises(UsageError, match="it has: reactive, broken, plain"):
        stage.deploy("quantum")
    with pytest.raises(UsageError, match="no parameter 'colour'"):
        Stage(COUNTING, {"colour": 1})


def test_a_running_service_is_only_visited(stage: Stage):
    with (
        stage.deploy("plain") as host,
        stage.deploy(ForeignLane("mine", url=host.url)) as guest,
    ):
        assert (guest.url, guest.server, guest.peers) == (host.url, None, {})
        assert guest.site().restart is None
        with pytest.raises(UsageError, match="we did not start it"):
            guest.restart()
    assert refuses(host.url)


def test_a_command_is_started_told_and_stopped_with_its_family(
    stage: Stage, gone: Callable[[int], None]
):
    samples: queue.Queue[dict[str, Any]] = queue.Queue()
    mine = ForeignLane("mine", command=f"{sys.executable} {FOREIGN} {{port}}")
    with stage.deploy(mine, on_sample=samples.put) as deployment:
        told = httpx.get(deployment.url).json()
        assert told["LABCORE_DATABASE_URL"] == deployment.site().database_url
        assert told["LABCORE_PEER_PAYMENT_ADAPTER"] == deployment.peers["payment-adapter"]
        sample = samples.get(timeout=READY_S)
        assert sample["rss_mb"] > 1
        assert sample["threads"] >= 2
        assert deployment.server is not None
        family = psutil.Process(deployment.server.pid).children(recursive=True)
        assert len(family) >= 3  # the server, a shell that ignores SIGTERM, its cat
    for member in family:
        gone(member.pid)
    assert refuses(deployment.url)


def test_a_command_is_killed_and_started_anew_by_a_restart(
    stage: Stage, gone: Callable[[int], None]
):
    mine = ForeignLane("mine", command=f"{sys.executable} {FOREIGN} {{port}}")
    with stage.deploy(mine) as deployment:
        assert deployment.server is not None
        family = psutil.Process(deployment.server.pid).children(recursive=True)
        url = deployment.restart()
        for member in family:
            gone(member.pid)
        assert httpx.get(url).status_code == 200


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        ("/no/such/program {port}", EnvironmentFault, "cannot start '/no/such/program'"),
        ("/bin/false {port}", PeerError, "ended with code 1 before it answered"),
    ],
)
def test_a_command_that_fails_says_so(
    stage: Stage, command: str, error: type[Exception], words: str
):
    with pytest.raises(error, match=words), stage.deploy(ForeignLane("bad", command=command)):
        pass


def test_a_scenario_that_prepares_nothing_needs_no_database():
    simple = Scenario(
        name="simple",
        title="Simple",
        question="?",
        lanes=(lane("plain", "lab_children:build"),),
        baseline="plain",
        workload=NoWorkload(),
    )
    with Stage(simple, {}) as stage, stage.deploy("plain") as deployment:
        assert stage.server is None
        assert deployment.site().database_url is None
        assert httpx.get(deployment.url).text == "lane plain, 0 bytes"


def test_logs_are_kept_where_asked(stage: Stage, tmp_path: Path):
    stage.log_dir = tmp_path / "logs"
    try:
        with stage.deploy("plain"):
            pass
    finally:
        stage.log_dir = None
    names = {path.name.rpartition("_")[0] for path in (tmp_path / "logs").iterdir()}
    assert names == {"counting-plain", "payment-adapter"}
