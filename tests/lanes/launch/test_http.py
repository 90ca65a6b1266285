import queue
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Child, ServiceSetting, hosted
from labcore.lanes.launch.http import listening_socket

READY_S = 15.0

Events = queue.Queue[tuple[str, dict[str, Any]]]


def host(target: str, events: Events | None = None) -> Child:
    listener = None if events is None else lambda kind, payload: events.put((kind, payload))
    setting = ServiceSetting(lane="reactive", parameters={})
    return hosted(target, setting, name="hosted", on_event=listener)


@pytest.fixture
def events() -> Events:
    return queue.Queue()


@pytest.fixture
def server(events: Events) -> Iterator[Child]:
    with host("lab_children:build", events) as child:
        yield child


@pytest.fixture
def client(server: Child) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.wait_ready(READY_S)["url"], timeout=READY_S) as client:
        yield client


def test_the_service_answers_on_loopback_and_knows_its_lane(server: Child, client: httpx.Client):
    assert server.wait_ready(READY_S)["pid"] == server.pid
    assert client.base_url.host == "127.0.0.1"
    assert client.post("/", content=b"x" * 2**20).text == f"lane reactive, {2**20} bytes"


def test_stats_and_health_come_with_the_host(client: httpx.Client):
    assert client.get("/healthz").json() == {"status": "ok"}
    stats = client.get("/stats").json()
    assert stats["worker_pool_size"] == 4
    assert stats["threads"] >= 1
    assert client.get("/nowhere").status_code == 404


def test_samples_arrive_with_everything_the_charts_know(client: httpx.Client, events: Events):
    client.get("/")
    samples = [events.get(timeout=READY_S) for _ in range(3)]
    assert {kind for kind, _ in samples} == {"sample"}
    assert samples[-1][1].keys() == {
        "at_ns", "cpu_s", "rss_mb", "rss_peak_mb", "threads", "voluntary_switches",
        "involuntary_switches", "loop_lag_ms", "gc_pause_ms", "tasks", "connections", "in_flight",
        "worker_pool_size",
    }  # fmt: skip
    assert samples[0][1]["at_ns"] < samples[1][1]["at_ns"] < samples[2][1]["at_ns"]
    assert 0 < samples[-1][1]["rss_mb"] <= samples[-1][1]["rss_peak_mb"]


def test_an_open_connection_and_a_running_request_are_counted(
    client: httpx.Client, until: Callable[[Callable[[], object], str], None]
):
    with client.stream("GET", "/stream"), httpx.Client(base_url=client.base_url) as other:

        def counted() -> bool:
            stats = other.get("/stats").json()
            return bool(stats["in_flight"] >= 1 and stats["connections"] >= 2)

        until(counted, "one request in flight over two connections")


def test_open_streams_are_ended_before_the_server_stops(server: Child, client: httpx.Client):
    with client.stream("GET", "/stream") as response:
        parts = response.iter_lines()
        assert next(parts) == "begun"
        server.stop(grace_s=READY_S)
        assert list(parts) == ["ended"]
    assert server.exit_code == 0


def test_a_stopped_server_frees_its_port(server: Child, client: httpx.Client):
    client.get("/")
    server.stop(grace_s=READY_S)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", client.base_url.port or 0))


def test_the_listening_socket_names_its_protocol():
    """With protocol 0 Nagle's algorithm stays on and every keep-alive answer takes 44 ms."""
    with listening_socket() as listener:
        assert listener.proto == socket.IPPROTO_TCP
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_failing_start_up_shows_the_log():
    with (
        host("lab_children:build_failing") as child,
        pytest.raises(PeerError, match="start-up"),
    ):
        child.wait_ready(READY_S)
    assert "no start" in child.log_tail()


def test_a_target_that_builds_no_service_is_refused():
    with (
        host("lab_children:build_nothing") as child,
        pytest.raises(UsageError, match="build_nothing returned str, not a Service"),
    ):
        child.wait_ready(READY_S)


def test_an_unknown_command_ends_the_host(server: Child):
    server.wait_ready(READY_S)
    server.send("dance", {})
    server.stop(grace_s=READY_S)
    assert "not 'dance'" in server.log_tail(60)


@pytest.mark.parametrize("deadline_s", [0, -1, float("nan")])
def test_a_deadline_is_positive(deadline_s: float):
    with pytest.raises(UsageError, match="must be above 0"):
        hosted("m:f", ServiceSetting("a", {}), name="x", deadline_s=deadline_s)
