"""Fresh databases on a server that is there: make, copy, drop, and say plainly why it cannot be.

It works on any PostgreSQL by URL and never shows a password: neither in a message nor in a `repr`.
"""

import re
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from labcore.kernel import EnvironmentFault, new_id

PREFIX = "labcore_"
CONNECT_TIMEOUT_S = 5
_TOLD = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_level",
    "shared_buffers", "max_connections", "max_wal_size", "checkpoint_timeout", "jit", "autovacuum",
)  # fmt: skip
_HINT_LENGTH = 24  # PostgreSQL cuts names at 63 bytes; prefix and id need 30


def create_database(server_url: str, name_hint: str, *, template: str | None = None) -> str:
    """The URL of a new database named `labcore_<hint>_<random>`.

    Args:
        server_url: `postgresql://…` of any database of the server, with the right to create more.
        name_hint: a word for whoever looks at the server; characters outside a-z0-9 become `_`.
        template: URL of the database to copy; nobody may be connected to it.

    Raises: EnvironmentFault when the server is unreachable or refuses.
    """
    hint = re.sub(r"[^a-z0-9]+", "_", name_hint.lower())[:_HINT_LENGTH].strip("_")
    name = new_id(f"{PREFIX}{hint}")
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(database_name(template)))
    _execute(server_url, statement)
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def drop_database(server_url: str, url: str) -> None:
    """Drop the database of `url`, whoever is still connected; nothing happens if it is gone.

    Raises: EnvironmentFault for a database that `create_database` did not name, or when the server
        is unreachable or refuses.
    """
    name = database_name(url)
    if not name.startswith(PREFIX):
        raise EnvironmentFault(f"refusing to drop database {name!r}: only {PREFIX}* are ours")
    _execute(
        server_url,
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)),
    )


def drop_leftovers(server_url: str) -> None:
    """Drop every database named by `create_database`; for a server that is ours alone."""
    with _connect(server_url) as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
    for (name,) in rows:
        if str(name).startswith(PREFIX):
            drop_database(server_url, urlunsplit(urlsplit(server_url)._replace(path=f"/{name}")))


def ping(server_url: str) -> None:
    """Connect and ask whether databases may be created.

    Raises: EnvironmentFault with the reason in one line.
    """
    with _connect(server_url) as connection:
        row = connection.execute(
            "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    if row is None or not row[0]:
        raise EnvironmentFault(
            f"{place(server_url)} may not create databases; grant it: ALTER ROLE … CREATEDB"
        )


def server_settings(server_url: str) -> dict[str, str]:
    """The version and the settings that bear on speed and safety, for the record of a run.

    Raises: EnvironmentFault when the server is unreachable.
    """
    with _connect(server_url) as connection:
        rows = connection.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s) ORDER BY name",
            [list(_TOLD)],
        ).fetchall()
    return {str(name): str(value) for name, value in rows}


def database_name(url: str) -> str:
    """The database a URL leads to."""
    return unquote(urlsplit(url).path.lstrip("/"))


def place(url: str) -> str:
    """Who and where a URL is, without its password: `user@host:port/database`."""
    parts = urlsplit(url)
    return f"{parts.username or ''}@{parts.netloc.rpartition('@')[2]}{parts.path}".lstrip("@")


def _execute(server_url: str, statement: sql.Composed) -> None:
    try:
        with _connect(server_url) as connection:
            connection.execute(statement)
    except psycopg.Error as exc:
        raise EnvironmentFault(f"{place(server_url)}: {_one_line(exc, server_url)}") from exc


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    if urlsplit(url).scheme not in {"postgresql", "postgres"}:
        raise EnvironmentFault(
            "not a PostgreSQL URL; expected postgresql://user:password@host:port/db"
        )
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg.Error as exc:
        reason = _one_line(exc, url)
        raise EnvironmentFault(f"no PostgreSQL at {place(url)}: {reason}") from None


def _one_line(error: psycopg.Error, url: str) -> str:
    text = str(error).strip().splitlines()
    line = text[0] if text else type(error).__name__
    password = urlsplit(url).password
    for secret in {password, unquote(password)} if password else ():
        line = line.replace(secret, "***")
    return line
