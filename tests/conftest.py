"""Fixtures that every room shares: the event loop's kind and a real, empty database."""

from collections.abc import Iterator

import pytest

from labcore.lanes import DatabaseServer

BROWSER_S = 90  # the first start of Chromium on a machine just set up took more than 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser may take its time to start; a test that says its own limit keeps it."""
    for item in items:
        if item.get_closest_marker("browser") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(BROWSER_S))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio: the servers' loop, and the only one the reactive library schedules on."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _journal_of_the_tests_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nobody's journal is written by a test, nor by a process or notebook that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABCORE_DATA", str(tmp_path_factory.mktemp("journal")))
        yield


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """One PostgreSQL for the whole session."""
    with DatabaseServer() as server:
        yield server


@pytest.fixture
def database_url(database_server: DatabaseServer) -> Iterator[str]:
    """A fresh, empty database, dropped afterwards."""
    url = database_server.create("test")
    yield url
    database_server.drop(url)
