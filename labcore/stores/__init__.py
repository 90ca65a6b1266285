"""Floor 2: PostgreSQL and what is kept in it.

`AsyncDatabase` and `event_log` are looked up on first use: the one comes with the virtual threads and an
HTTP client, both with an event loop, and every child process would pay up to a third of a second for
them, the driver and the database's watcher too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from labcore.stores.databases import (
    create_database,
    database_name,
    drop_database,
    ping,
    place,
    server_settings,
)
from labcore.stores.postgres import PostgresServer, postgres_server

if TYPE_CHECKING:
    from labcore.stores import event_log
    from labcore.virtual import AsyncDatabase

__all__ = [
    "AsyncDatabase",
    "PostgresServer",
    "create_database",
    "database_name",
    "drop_database",
    "event_log",
    "ping",
    "place",
    "postgres_server",
    "server_settings",
]


def __getattr__(name: str) -> Any:
    if name == "AsyncDatabase":
        from labcore.virtual import AsyncDatabase

        return AsyncDatabase
    if name == "event_log":
        return import_module("labcore.stores.event_log")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
