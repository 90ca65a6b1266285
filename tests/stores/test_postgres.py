import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from labcore.kernel import EnvironmentFault
from labcore.stores import create_database, database_name, postgres, postgres_server
from labcore.stores.postgres import _copied_programs, _programs, _reachable

QUICK = {"fsync": "off"}  # these tests are about processes and folders

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of our own that the account lent by root can reach, so not below `tmp_path`."""
    folder = Path(tempfile.mkdtemp(prefix="labcore-test-"))
    folder.chmod(0o755)
    monkeypatch.setenv("LABCORE_CACHE", str(folder))
    yield folder
    shutil.rmtree(folder)


def answer(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def test_a_server_comes_up_with_the_recorded_settings_and_is_gone_afterwards():
    with postgres_server() as server:
        assert int(str(answer(server.url, "SHOW server_version_num"))) >= 180_000
        assert answer(server.url, "SHOW fsync") == "on"
        assert answer(server.url, "SHOW synchronous_commit") == "on"
        for name, value in server.settings.items():
            assert str(answer(server.url, f"SHOW {name}")).lower() == value.lower()
        assert answer(server.url, "SHOW listen_addresses") == "127.0.0.1"
        assert str(urlsplit(server.url).password) not in repr(server)
    assert not psutil.pid_exists(server.pid)


def test_the_server_does_not_run_as_root():
    with postgres_server(settings=QUICK) as server:
        process = psutil.Process(server.pid)
        assert process.uids().effective != 0
        assert process.uids().effective == server.data_dir.stat().st_uid


def test_the_password_is_asked_for():
    with postgres_server(settings=QUICK) as server:
        right = str(urlsplit(server.url).password)
        for wrong in ("", "guess"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(server.url.replace(right, wrong))


def test_the_folder_is_used_again_and_left_databases_are_dropped():
    with postgres_server(settings=QUICK) as first:
        left = create_database(first.url, "left")
        with psycopg.connect(first.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE kept")
    with postgres_server(settings=QUICK) as second:
        names = answer(second.url, "SELECT array_agg(datname::text) FROM pg_database")
    assert second.data_dir == first.data_dir
    assert isinstance(names, list)
    assert "kept" in names
    assert database_name(left) not in names


def test_two_at_once_have_a_folder_each():
    with postgres_server(settings=QUICK) as one, postgres_server(settings=QUICK) as two:
        assert one.data_dir != two.data_dir
        assert answer(one.url, "SELECT 1") == answer(two.url, "SELECT 1") == 1


def test_a_server_that_outlived_its_watcher_is_stopped_by_the_next():
    program = (
        "import os, sys\n"
        "from labcore.stores import postgres_server\n"
        "with postgres_server(settings={'fsync': 'off'}) as server:\n"
        "    print(server.pid, server.data_dir, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as watcher:
        assert watcher.stdout is not None
        pid, data_dir = watcher.stdout.readline().split()
        os.kill(watcher.pid, signal.SIGKILL)
    stale = psutil.Process(int(pid))
    assert stale.is_running()
    family = [stale, *stale.children(recursive=True)]
    with postgres_server(settings=QUICK) as server:
        assert not any(member.is_running() for member in family)
        assert (str(server.data_dir), answer(server.url, "SELECT 1")) == (data_dir, 1)


def test_a_broken_folder_is_made_anew():
    with postgres_server(settings=QUICK) as server:
        data_dir = server.data_dir
    shutil.rmtree(data_dir / "global")
    with postgres_server(settings=QUICK) as server:
        assert server.data_dir == data_dir
        assert answer(server.url, "SELECT 1") == 1


def test_an_impossible_setting_shows_the_servers_log():
    with (
        pytest.raises(EnvironmentFault, match="max_connections"),
        postgres_server(settings={"max_connections": "many"}),
    ):
        pass


def test_an_error_in_the_block_stops_the_server_too():
    with pytest.raises(ZeroDivisionError), postgres_server(settings=QUICK) as server:
        raise ZeroDivisionError
    assert not psutil.pid_exists(server.pid)


def test_a_copy_of_the_programs_runs_from_its_new_place(cache: Path):
    copy = _copied_programs(_programs(), cache)
    for program in ("postgres", "initdb"):
        words = subprocess.run(
            [copy / "bin" / program, "--version"], capture_output=True, text=True, check=True
        )
        assert "PostgreSQL" in words.stdout
    assert _copied_programs(_programs(), cache) == copy


@AS_ROOT
def test_a_closed_home_and_a_strict_umask_do_not_matter(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Root's own folders stay closed; data and programs go where the lent account can reach them."""
    closed = tmp_path / "root"
    closed.mkdir(mode=0o700)
    programs = closed / _programs().parent.name
    shutil.copytree(_programs().parent, programs)
    shutil.copytree(_programs().parent.with_name(f"{programs.name}.libs"), f"{programs}.libs")
    monkeypatch.setenv("LABCORE_CACHE", str(closed / "cache"))
    monkeypatch.setattr(postgres, "_SHARED_CACHE", cache / "shared")
    monkeypatch.setattr(postgres, "_programs", lambda: programs / _programs().name)
    before = os.umask(0o077)
    try:
        with postgres_server(settings=QUICK) as server:
            assert answer(server.url, "SELECT 1") == 1
            assert server.data_dir.is_relative_to(cache / "shared")
            assert Path(psutil.Process(server.pid).exe()).is_relative_to(cache / "shared")
    finally:
        os.umask(before)
    assert closed.stat().st_mode & 0o777 == 0o700


@AS_ROOT
def test_a_root_that_cannot_become_another_is_told(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(postgres, "_major_version", lambda _: "18")
    monkeypatch.setattr(subprocess, "run", refuse)
    with (
        pytest.raises(EnvironmentFault, match=r"may not become .* set LABCORE_DATABASE_URL"),
        postgres_server(),
    ):
        pass


@AS_ROOT
def test_an_ordinary_user_needs_no_root(cache: Path):
    user = pwd.getpwnam("nobody")
    programs = _programs()
    if not _reachable(programs / "bin" / "postgres", user):
        pytest.skip("this environment is closed to other users")
    home = cache / "ordinary"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    # The interpreter itself may be out of that user's reach, so it changes after its imports.
    program = (
        "import os, sys, psutil, psycopg\n"
        "from labcore.stores import postgres_server\n"
        "os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))\n"
        "with postgres_server(settings={'fsync': 'off'}) as server:\n"
        "    print(psutil.Process(server.pid).uids().effective == os.getuid(), server.data_dir)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(user.pw_uid), str(user.pw_gid)],
        env={**os.environ, "LABCORE_CACHE": str(home), "HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"True {home}/postgres-")
