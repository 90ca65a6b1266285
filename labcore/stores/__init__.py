"""Floor 2: PostgreSQL and what is kept in it."""

from labcore.stores.databases import (
    create_database,
    database_name,
    drop_database,
    ping,
    place,
    server_settings,
)
from labcore.stores.postgres import SETTINGS, PostgresServer, postgres_server
from labcore.virtual import AsyncDatabase

__all__ = [
    "SETTINGS",
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
