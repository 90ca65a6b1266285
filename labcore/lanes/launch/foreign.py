"""A server of the user's, in any language: started on a free port, watched, stopped with its family.

The command runs under a child of ours, so that it dies with its parent although it knows nothing of
us. It learns its surroundings from the environment: `PORT`, `LABCORE_DATABASE_URL` (a fresh database)
and `LABCORE_PEER_<NAME>` (URLs).
"""

import http.client
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from labcore.kernel import DATABASE_URL_VARIABLE, EnvironmentFault, PeerError
from labcore.lanes.contract import ServiceSetting
from labcore.lanes.launch.context import ChildContext
from labcore.lanes.launch.process import Child, EventHandler

TARGET = f"{__name__}:run"
READY_TIMEOUT_S = 60.0  # a virtual machine that compiles itself first
GRACE_S = 3.0  # below the grace of the child, which ends the whole group anyway
POLL_S = 0.05
SAMPLE_PERIOD_S = 0.1


def supervised(
    command: str,
    setting: ServiceSetting,
    *,
    name: str,
    on_event: EventHandler | None = None,
    cpus: frozenset[int] | None = None,
    log_dir: Path | None = None,
) -> Child:
    """A child, not yet started, that runs the command with `{port}` filled in, as `hosted` does ours."""
    surroundings = {
        f"LABCORE_PEER_{peer.upper().replace('-', '_')}": url for peer, url in setting.peers.items()
    }
    if setting.database_url is not None:
        surroundings[DATABASE_URL_VARIABLE] = setting.database_url
    wire = {"command": command, "environment": surroundings}
    return Child(TARGET, wire, name=name, on_event=on_event, cpus=cpus, log_dir=log_dir)


def run(context: ChildContext) -> None:
    """Run the command until asked to stop; ready with `url` and `pid` once `/healthz` answers 200.

    Emits `sample` events with what can be seen from outside: `at_ns`, `cpu_s`, `rss_mb`,
    `rss_peak_mb` (highest seen) and `threads`, summed over the command's processes.

    Raises: EnvironmentFault for a command that cannot start; PeerError when it ends by itself or
        does not answer in time.
    """
    port = _free_port()
    process = _start(context.setting, port)
    try:
        _await_health(context, process, port)
        if not context.stopping.is_set():
            context.ready(url=f"http://127.0.0.1:{port}", pid=process.pid)
            threading.Thread(target=_sample, args=(context, process.pid), daemon=True).start()
            _await_end(context, process)
    finally:
        _stop_family(process)


def _start(setting: Mapping[str, Any], port: int) -> "subprocess.Popen[bytes]":
    argv = [word.replace("{port}", str(port)) for word in shlex.split(setting["command"])]
    environment = {**os.environ, **setting["environment"], "PORT": str(port)}
    try:
        return subprocess.Popen(argv, env=environment)
    except OSError as exc:
        raise EnvironmentFault(f"cannot start {argv[0]!r}: {exc.strerror}") from exc


def _await_health(context: ChildContext, process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    seen = "nothing listens"
    while not context.stopping.wait(POLL_S):
        if process.poll() is not None:
            raise PeerError(f"the command ended with code {process.returncode} before it answered")
        if time.monotonic() > deadline_s:
            raise PeerError(
                f"GET /healthz on port {port} is not 200 after {READY_TIMEOUT_S:g} s: {seen}"
            )
        try:
            status = _health(port)
        except (OSError, http.client.HTTPException) as exc:
            seen = str(exc) or type(exc).__name__
            continue
        if status == 200:
            return
        seen = f"status {status}"


def _health(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


def _await_end(context: ChildContext, process: "subprocess.Popen[bytes]") -> None:
    while not context.stopping.wait(POLL_S):
        if process.poll() is not None:
            raise PeerError(f"the command ended by itself with code {process.returncode}")


def _sample(context: ChildContext, pid: int) -> None:
    peak_mb = 0.0
    family: list[psutil.Process] = []
    next_census_s = 0.0
    while not context.stopping.wait(SAMPLE_PERIOD_S):
        now_s = time.monotonic()
        try:
            if now_s >= next_census_s:  # a walk over all processes of the machine
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                next_census_s = now_s + 1.0
            cpu_s = rss_mb = threads = 0.0
            for member in family:
                with member.oneshot():
                    times = member.cpu_times()
                    cpu_s += times.user + times.system
                    rss_mb += member.memory_info().rss / 2**20
                    threads += member.num_threads()
        except psutil.NoSuchProcess:  # one of them ended: count anew next time
            next_census_s = 0.0
            continue
        peak_mb = max(peak_mb, rss_mb)
        context.offer(
            "sample",
            {
                "at_ns": time.monotonic_ns(),
                "cpu_s": cpu_s,
                "rss_mb": rss_mb,
                "rss_peak_mb": peak_mb,
                "threads": threads,
            },
        )


def _stop_family(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to the whole group (ours, where the signal only repeats the stop), then SIGKILL."""
    family = psutil.Process().children(recursive=True)
    os.killpg(0, signal.SIGTERM)
    for survivor in psutil.wait_procs(family, timeout=GRACE_S)[1]:
        survivor.kill()
    process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
