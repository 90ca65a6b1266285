"""A prepared database for the order service's own tests."""

from collections.abc import Iterator

import pytest

from labcore.lanes import DatabaseServer
from servers.order_service import SCENARIO
from servers.order_service.statements import prepare


@pytest.fixture(scope="session")
def template(database_server: DatabaseServer) -> Iterator[str]:
    """A database as `prepare` leaves it."""
    url = database_server.create("checkout_template")
    prepare(url, SCENARIO.values({"stock": 100}))
    yield url
    database_server.drop(url)


@pytest.fixture
def shop_url(database_server: DatabaseServer, template: str) -> Iterator[str]:
    """A fresh copy of it."""
    url = database_server.create("checkout", template=template)
    yield url
    database_server.drop(url)
