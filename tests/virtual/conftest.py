"""Both executors, so that what is promised of both is tested on both."""

from collections.abc import Iterator

import pytest

from labcore.virtual import PlatformThreadExecutor, VirtualThreadExecutor

Executors = PlatformThreadExecutor | VirtualThreadExecutor


@pytest.fixture(params=["platform", "virtual"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executors]:
    made: Executors
    if request.param == "platform":
        made = PlatformThreadExecutor(8, name="test")
    else:
        made = VirtualThreadExecutor(name="test")
    yield made
    made.shutdown()
