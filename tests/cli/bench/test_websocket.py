"""Autobahn's cases against our engine, and the measured columns."""

import asyncio
from typing import Final

import psutil
import pytest

from labcore.cli.bench import websocket
from labcore.lanes import Child

CHOSEN: Final = "websockets-sansio"
BY_CHOICE = {"7.1.5"}  # closing amid a fragmented message is answered 1002, where 1000 is wanted


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_our_engine_fails_no_case_of_autobahn_but_one_by_its_authors_choice():
    """Of section 9, the long one, two cases; the benchmark runs all of it."""
    sections = (*websocket.CORE, "9.1.3", "9.7.1")
    found = websocket.conformance(CHOSEN, sections)
    assert set(found["failed"].split()) <= BY_CHOICE
    assert found["cases"] == 249


@pytest.mark.parametrize("deflate", [False, True])
def test_an_echo_is_measured(deflate: bool):
    setting = {"engine": CHOSEN, "deflate": deflate}
    with Child(websocket.TARGET, setting, name="echo") as server:
        port = server.wait_ready(websocket.READY_S)["port"]
        process = psutil.Process(server.pid)
        row = asyncio.run(websocket._measured(process, f"ws://127.0.0.1:{port}/", 2, 20))
    assert (row["wire_bytes"] < row["text_bytes"]) == deflate
    assert row["messages_per_s"] > 0
