import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from labcore.kernel import EnvironmentFault, UsageError
from labcore.lanes import DatabaseServer
from labcore.stores import database_name

PROGRAM = """
import sys
from labcore.lanes import DatabaseServer
server = DatabaseServer(settings={"fsync": "off"})
server.start()
print(server.child.pid, server.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of our own that the account lent by root can reach, so not below `tmp_path`."""
    folder = Path(tempfile.mkdtemp(prefix="labcore-test-"))
    folder.chmod(0o755)
    monkeypatch.setenv("LABCORE_CACHE", str(folder))
    monkeypatch.delenv("LABCORE_DATABASE_URL", raising=False)
    yield folder
    shutil.rmtree(folder)


def exists(server_url: str, name: str) -> bool:
    with psycopg.connect(server_url) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        return found.fetchone() is not None


def test_databases_come_and_go(database_server: DatabaseServer):
    url = database_server.create("lanes")
    assert exists(database_server.url, database_name(url))
    database_server.drop(url)
    assert not exists(database_server.url, database_name(url))


def test_the_settings_are_known(database_server: DatabaseServer):
    assert database_server.settings["jit"] == "off"
    assert database_server.settings["fsync"] == "on"
    assert database_server.settings["server_version"].startswith("18")


def test_before_the_start_there_is_no_url():
    with pytest.raises(UsageError, match="not started"):
        _ = DatabaseServer().url


@pytest.mark.timeout(60)
def test_the_users_server_is_used_and_left_as_it_was(
    database_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LABCORE_DATABASE_URL", database_server.url)
    with DatabaseServer() as theirs:
        assert not theirs.embedded
        assert theirs.child is None
        made = [theirs.create("one"), theirs.create("two")]
        theirs.drop(made[0])
        assert exists(database_server.url, database_name(made[1]))
    assert not exists(database_server.url, database_name(made[1]))


def test_an_unreachable_server_of_the_user_names_the_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABCORE_DATABASE_URL", "postgresql://ann:s3cret@127.0.0.1:1/db")
    with (
        pytest.raises(
            EnvironmentFault, match=r"^LABCORE_DATABASE_URL: no PostgreSQL at ann@127.0.0.1:1/db: "
        ) as fault,
        DatabaseServer(),
    ):
        pass
    assert "s3cret" not in str(fault.value)


@pytest.mark.timeout(60)
def test_the_embedded_server_ends_with_a_killed_parent(cache: Path, gone: Callable[[int], None]):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=-1, stdout=-1, text=True
    ) as parent:
        assert parent.stdout is not None
        watcher, url = parent.stdout.readline().split()
        (postmaster,) = psutil.Process(int(watcher)).children()
        os.kill(parent.pid, signal.SIGKILL)
    gone(int(watcher))
    gone(postmaster.pid)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)


@pytest.mark.timeout(60)
def test_after_a_kill_of_everything_the_next_start_finds_order(
    cache: Path, gone: Callable[[int], None]
):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=-1, stdout=-1, text=True
    ) as parent:
        assert parent.stdout is not None
        watcher, _ = parent.stdout.readline().split()
        (postmaster,) = psutil.Process(int(watcher)).children()
        os.kill(int(watcher), signal.SIGKILL)
        os.kill(parent.pid, signal.SIGKILL)
    gone(int(watcher))
    with DatabaseServer(settings={"fsync": "off"}) as server:
        gone(postmaster.pid)
        assert exists(server.url, "postgres")
