"""Clients that know nothing of this project hear every event once, across a kill of the server."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from labcore.cli.bench.foreign import NODE, PYTHON, Client, npm_installed
from labcore.cli.bench.strangers import meet
from labcore.kernel import EnvironmentFault
from labcore.lanes import DatabaseServer, Stage
from tests.cli.bench.tiny_inventory import SCENARIO

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BY_ITSELF = {"launchdarkly-eventsource", "websockets", "eventsource"}


@pytest.fixture(scope="module")
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    with Stage(SCENARIO, {}, server=database_server) as prepared:
        yield prepared


async def test_strangers_of_python_resume_exactly(stage: Stage):
    await judge(stage, PYTHON)


async def test_strangers_of_npm_resume_exactly(stage: Stage, tmp_path: Path):
    try:
        modules = npm_installed(tmp_path)
    except EnvironmentFault as exc:
        pytest.skip(str(exc))
    await judge(stage, NODE, modules=modules)


async def judge(stage: Stage, clients: Sequence[Client], *, modules: Path | None = None) -> None:
    with stage.deploy("structured") as deployed:
        rows = await meet(deployed, clients, batch=5, modules=modules)
    for client, row in zip(clients, rows, strict=True):
        came_back = "by itself" if client.name in BY_ITSELF else "started again"
        found = (row["received"], row["repeated"], row["exact"], row["came_back"])
        assert found == (10, 0, True, came_back), row
