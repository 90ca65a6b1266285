"""Where a scenario plays: its database prepared once, its lanes deployed on fresh copies of it.

A deployment is a fresh database, fresh peers and a fresh server, so that no run inherits anything
from the one before. Order of a start: database, peers, server; of a stop: the reverse.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict

from labcore.kernel import UsageError
from labcore.lanes.contract import (
    ForeignLane,
    Lane,
    Peer,
    Scenario,
    ServiceSetting,
    Site,
    Value,
    Values,
)
from labcore.lanes.launch.database import DatabaseServer
from labcore.lanes.launch.foreign import supervised
from labcore.lanes.launch.http import hosted
from labcore.lanes.launch.process import Child, EventHandler
from labcore.lanes.launch.sampler import RunDelay

READY_TIMEOUT_S = 75.0  # above the patience with a foreign command
WALK_PERIOD_NS = 1_000_000_000  # between two readings of the run-queue delay

SampleHandler = Callable[[dict[str, Any]], object]


class _ChildOptions(TypedDict):
    name: str
    on_event: EventHandler | None
    cpus: frozenset[int] | None
    log_dir: Path | None


class Stage:
    """The place of one experiment: a database server and a template that the scenario prepared.

    Without `server` it starts its own and stops it at the end. A scenario that prepares nothing gets no
    database. Blocking, usable from any thread; deployments may overlap.

    Raises: UsageError for parameters the scenario does not have.
    """

    def __init__(
        self,
        scenario: Scenario,
        values: Values,
        *,
        server: DatabaseServer | None = None,
        log_dir: Path | None = None,
    ) -> None:
        self.scenario = scenario
        self.values: dict[str, Value] = scenario.values(values)
        self.log_dir = log_dir
        self._server = server
        self._template: str | None = None
        self._cleanup = ExitStack()

    @property
    def server(self) -> DatabaseServer | None:
        """The database server in use; None for a scenario that needs none."""
        return self._server

    def deploy(
        self,
        lane: str | ForeignLane,
        *,
        cpus: frozenset[int] | None = None,
        on_sample: SampleHandler | None = None,
        tracing: bool = False,
    ) -> "Deployment":
        """A lane ready to be entered.

        Args:
            lane: a lane's name, or a foreign one.
            cpus: the cores of the server; its peers and the database stay free.
            on_sample: called ten times a second with what the server says of itself (see
                `labcore.lanes.launch.sampler`), with `run_delay_s` added to one a second
                and to the last.
            tracing: let requests be traced (see `trace_request`); never while measuring.

        Raises: UsageError for a lane the scenario does not have.
        """
        chosen = self.scenario.lane(lane) if isinstance(lane, str) else lane
        return Deployment(self, chosen, cpus=cpus, on_sample=on_sample, tracing=tracing)

    def fresh_database(self) -> str | None:
        """The URL of a new copy of the prepared template."""
        if self._server is None or self._template is None:
            return None
        return self._server.create(self.scenario.name, template=self._template)

    def drop_database(self, url: str) -> None:
        """Drop a copy."""
        if self._server is not None:
            self._server.drop(url)

    def __enter__(self) -> Self:
        prepare = self.scenario.prepare
        if prepare is None:
            return self
        with ExitStack() as cleanup:
            server = self._server
            if server is None:
                server = cleanup.enter_context(DatabaseServer())
            self._template = server.create(f"{self.scenario.name}_template")
            cleanup.callback(server.drop, self._template)
            prepare(self._template, self.values)
            self._server = server
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()


class Deployment:
    """A running lane with its peers and its database, until the end of the block."""

    def __init__(
        self,
        stage: Stage,
        lane: Lane | ForeignLane,
        *,
        cpus: frozenset[int] | None,
        on_sample: SampleHandler | None,
        tracing: bool,
    ) -> None:
        self.lane = lane
        self.url = ""
        self.peers: dict[str, str] = {}
        self.server: Child | None = None
        self._stage = stage
        self._cpus = cpus
        self._tracing = tracing
        self._relay = None if on_sample is None else _Relay(on_sample)
        self._database_url: str | None = None
        self._cleanup = ExitStack()

    def site(self) -> Site:
        """What a conformance check is given. Checks see the parameters the lane was started with."""
        return Site(
            url=self.url,
            peers=dict(self.peers),
            parameters=dict(self._stage.values),
            database_url=self._database_url,
            restart=None if self.server is None else self.restart,
        )

    def restart(self) -> str:
        """Kill the server with SIGKILL and start it anew on the same database and peers; its URL.

        Raises: UsageError for a service that was running before us.
        """
        if self.server is None:
            raise UsageError(f"lane {self.lane.name!r} is a running service; we did not start it")
        self.server.kill()
        self._start_server()
        return self.url

    def sample_now(self) -> None:
        """Ask the server for a complete sample now; it reaches `on_sample` soon after.

        Does nothing for a foreign lane. Raises: PeerError if the server is gone.
        """
        if self._relay is not None and self.server is not None and isinstance(self.lane, Lane):
            self._relay.walk_next()
            self.server.send("sample", {})

    def __enter__(self) -> Self:
        if isinstance(self.lane, ForeignLane) and self.lane.url is not None:
            self.url = self.lane.url
            return self
        with ExitStack() as cleanup:
            self._database_url = self._stage.fresh_database()
            if self._database_url is not None:
                cleanup.callback(self._stage.drop_database, self._database_url)
            started = [self._launch_peer(peer, cleanup) for peer in self._stage.scenario.peers]
            for name, child in started:  # all start at once, then each is waited for
                self.peers[name] = child.wait_ready(READY_TIMEOUT_S)["url"]
            cleanup.callback(self._stop_server)
            self._start_server()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _launch_peer(self, peer: Peer, cleanup: ExitStack) -> tuple[str, Child]:
        setting = ServiceSetting(lane=peer.name, parameters=self._stage.values)
        child = hosted(peer.target, setting, name=peer.name, log_dir=self._stage.log_dir)
        return peer.name, cleanup.enter_context(child)

    def _start_server(self) -> None:
        setting = ServiceSetting(
            lane=self.lane.name,
            parameters=self._stage.values,
            database_url=self._database_url,
            peers=self.peers,
        )
        self.server = self._child(setting)
        self.server.start()
        if self._relay is not None and isinstance(self.lane, Lane):
            self._relay.watch(self.server.pid)
        self.url = self.server.wait_ready(READY_TIMEOUT_S)["url"]

    def _child(self, setting: ServiceSetting) -> Child:
        lane = self.lane
        options: _ChildOptions = {
            "name": f"{self._stage.scenario.name}-{lane.name}",
            "on_event": self._relay,
            "cpus": self._cpus,
            "log_dir": self._stage.log_dir,
        }
        if isinstance(lane, Lane):
            return hosted(lane.target, setting, tracing=self._tracing, **options)
        if lane.command is None:
            raise UsageError(f"lane {lane.name!r} has neither a URL nor a command")
        return supervised(lane.command, setting, **options)

    def _stop_server(self) -> None:
        if self.server is not None:
            if self.server.alive:
                self.sample_now()
            self.server.stop()


class _Relay:
    """Completes a server's samples with what only a walk from outside can see, and hands them on."""

    def __init__(self, handler: SampleHandler) -> None:
        self._handler = handler
        self._delay: RunDelay | None = None
        self._walk_due_ns = 0

    def watch(self, pid: int) -> None:
        """Read the run-queue delay of this process from now on."""
        self._delay = RunDelay(pid)
        self.walk_next()

    def walk_next(self) -> None:
        """Renew the run-queue delay at the next sample."""
        self._walk_due_ns = 0

    def __call__(self, kind: str, payload: dict[str, Any]) -> None:
        """Take an event of the child."""
        if kind != "sample":
            return
        if self._delay is not None and payload["at_ns"] >= self._walk_due_ns:
            self._walk_due_ns = payload["at_ns"] + WALK_PERIOD_NS
            payload["run_delay_s"] = self._delay.read_s()
        self._handler(payload)
