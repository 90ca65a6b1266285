"""Floor 2: PostgreSQL and what is kept in it.

`AsyncDatabase` is looked up on first use: it comes with the virtual threads and an HTTP client, whose
import would cost every child process a third of a second, the driver and the database's watcher too.
"""

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
    from labcore.virtual import AsyncDatabase

__all__ = [
    "AsyncDatabase",
    "PostgresServer",
    "create_database",
    "database_name",
    "drop_database",
    "ping",
    "place",
    "postgres_server",
    "server_settings",
]


def __getattr__(name: str) -> Any:
    if name == "AsyncDatabase":
        from labcore.virtual import AsyncDatabase

        return AsyncDatabase
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
