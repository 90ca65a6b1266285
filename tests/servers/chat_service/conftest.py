"""One chat at a time, a lane each: a start costs more than what most tests ask."""

from collections.abc import Iterator

import pytest

from labcore.lanes import DatabaseServer, Deployment, Stage
from servers.chat_service import SCENARIO

VALUES = {
    "heartbeat_s": 0.15,
    "presence_s": 0.6,
    "workers": 8,
    "db_pool": 4,
    "max_streams": 6,
    "recent": 10,
    "most_behind": 100,
}


@pytest.fixture(scope="session")
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    """The chat, prepared once."""
    with Stage(SCENARIO, VALUES, server=database_server) as prepared:
        yield prepared


@pytest.fixture(scope="session", params=[lane.name for lane in SCENARIO.lanes])
def deployment(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A lane with a database of its own; `test_wiring` stops its server at the end."""
    with stage.deploy(request.param) as deployed:
        yield deployed
