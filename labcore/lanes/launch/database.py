"""The database server of an experiment: the user's by its URL, or an embedded one as a child.

It decides which of the two, and hands out fresh databases that are dropped at the end.
"""

from types import TracebackType
from typing import Self

from labcore.kernel import DATABASE_URL_VARIABLE, EnvironmentFault, UsageError, database_url
from labcore.lanes.launch.context import ChildContext
from labcore.lanes.launch.process import Child
from labcore.stores import create_database, drop_database, ping, postgres_server, server_settings

READY_TIMEOUT_S = 90.0  # initdb on a slow disk
STOP_GRACE_S = 30.0  # a fast shutdown ends with a checkpoint


def run(context: ChildContext) -> None:
    """Keep an embedded PostgreSQL until asked to stop: the target of the child below."""
    with postgres_server(settings=context.setting["settings"]) as server:
        context.ready(url=server.url)
        context.stopping.wait()


class DatabaseServer:
    """A PostgreSQL and the databases made on it; all of them are dropped at the end.

    `LABCORE_DATABASE_URL` names the server; without it an embedded one runs as a supervised child.
    `settings` then says how the server runs, for the record. Blocking, usable from any thread.

    Raises: EnvironmentFault when the server cannot be reached, started or may not create databases.
    """

    def __init__(self, *, settings: dict[str, str] | None = None) -> None:
        self._given_url = database_url()
        self._child: Child | None = None
        self._url: str | None = None
        self._made: list[str] = []
        self._settings = settings or {}
        self.settings: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The maintenance database; holds the password. Raises: UsageError before the start."""
        if self._url is None:
            raise UsageError("the database server is not started; use it in a with statement")
        return self._url

    @property
    def embedded(self) -> bool:
        """Whether the server is ours rather than the user's."""
        return self._given_url is None

    @property
    def child(self) -> Child | None:
        """The process that watches over the embedded server; None for the user's own."""
        return self._child

    def start(self) -> None:
        """Reach or start the server."""
        if self._given_url is not None:
            try:
                ping(self._given_url)
            except EnvironmentFault as exc:
                raise EnvironmentFault(f"{DATABASE_URL_VARIABLE}: {exc}") from None
            self._url = self._given_url
            self.settings = server_settings(self._url)
            return
        self._child = Child(f"{__name__}:run", {"settings": self._settings}, name="postgres")
        self._child.start(grace_s=STOP_GRACE_S)
        try:
            ready = self._child.wait_ready(READY_TIMEOUT_S)
        except BaseException:
            self._child.stop(grace_s=STOP_GRACE_S)
            raise
        self._url = ready["url"]
        self.settings = server_settings(self._url)

    def create(self, name_hint: str, *, template: str | None = None) -> str:
        """The URL of a fresh database, empty or a copy of the one at URL `template`."""
        url = create_database(self.url, name_hint, template=template)
        self._made.append(url)
        return url

    def drop(self, url: str) -> None:
        """Drop a database made here, whoever is still connected."""
        drop_database(self.url, url)
        if url in self._made:
            self._made.remove(url)

    def stop(self) -> None:
        """Drop what was made and stop the embedded server."""
        if self._child is None:
            for url in list(self._made):
                self.drop(url)
        else:  # its leftovers are dropped when the slot is used next, which is quicker than now
            self._child.stop(grace_s=STOP_GRACE_S)
        self._made.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
