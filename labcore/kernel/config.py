"""Where things live and which environment variables are read: the only place that reads them."""

import os
from pathlib import Path

import platformdirs

DATABASE_URL_VARIABLE = "LABCORE_DATABASE_URL"
CACHE_VARIABLE = "LABCORE_CACHE"
DATA_VARIABLE = "LABCORE_DATA"


def database_url() -> str | None:
    """The user's own PostgreSQL, `postgresql://…`, or None for the embedded one."""
    return os.environ.get(DATABASE_URL_VARIABLE) or None


def cache_dir() -> Path:
    """The machine user's cache folder (created): embedded databases, locks, logs."""
    chosen = os.environ.get(CACHE_VARIABLE)
    path = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("labcore"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def data_dir() -> Path:
    """The machine user's data folder (not created): the learner's journal."""
    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("labcore"))


def runs_dir() -> Path:
    """Where recordings go unless told otherwise: `runs/` below the working directory."""
    return Path("runs")
