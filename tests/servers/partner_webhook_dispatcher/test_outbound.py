"""Both clients, over real sockets: where they do not go, and when they give up."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest

from labcore.kernel import RefusedError
from servers.partner_webhook_dispatcher.domain import Call, Outcome
from servers.partner_webhook_dispatcher.outbound import (
    PlatformClient,
    async_client,
    judge_addresses,
)
from servers.partner_webhook_dispatcher.sending import async_send, platform_send

Sending = Callable[[Call, Any], Outcome]


def _on_a_loop(call: Call, exceptions: Any) -> Outcome:
    async def sent() -> Outcome:
        async with async_client(exceptions, connections=2) as http:
            return await async_send(http)(call)

    return asyncio.run(sent())


def _on_a_thread(call: Call, exceptions: Any) -> Outcome:
    with PlatformClient(exceptions, connections=2) as http:
        return platform_send(http)(call)


@pytest.fixture(params=[_on_a_loop, _on_a_thread])
def send(request: pytest.FixtureRequest) -> Sending:
    """An attempt in each colour of waiting."""
    chosen: Sending = request.param
    return chosen


@contextmanager
def _misbehaving(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of an endpoint that plays so with its first connection, until it is left."""

    def tolerant() -> None:
        connection, _ = listener.accept()
        with closing(connection), suppress(ConnectionError):
            play(connection)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=tolerant)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    left = threading.Event()
    while not left.wait(0.05):
        connection.sendall(b"x")


def _flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def _call(url: str, *, timeout_s: float = 5.0) -> Call:
    return Call(url, b"{}", {"Content-Type": "application/json", "webhook-id": "m"}, timeout_s)


def test_a_name_that_leads_to_a_private_address_is_not_connected_to(send: Sending, endpoint: Any):
    port = int(endpoint.url.rpartition(":")[2])
    outcome = send(_call(f"http://localhost:{port}/"), [])
    assert outcome.status is None
    assert "loopback" in str(outcome.error)
    assert endpoint.received == []
    assert send(_call(f"http://localhost:{port}/"), [("localhost", port)]).status == 204


def test_a_redirect_is_an_answer_and_is_not_followed(send: Sending, endpoint: Any):
    endpoint.answer = lambda _: (302, {"Location": f"{endpoint.url}/elsewhere"})
    place = ("127.0.0.1", int(endpoint.url.rpartition(":")[2]))
    assert send(_call(endpoint.url), [place]).status == 302
    assert len(endpoint.received) == 1


def test_an_answer_that_drips_is_cut_off_at_the_time_limit(send: Sending):
    with _misbehaving(_drip) as port:
        call = _call(f"http://127.0.0.1:{port}/", timeout_s=0.3)
        outcome = send(call, [("127.0.0.1", port)])
    assert outcome.error == "no answer in time"


def test_of_an_answer_without_end_only_the_beginning_is_read(send: Sending):
    with _misbehaving(_flood) as port:
        outcome = send(_call(f"http://127.0.0.1:{port}/"), [("127.0.0.1", port)])
    assert outcome.status == 200


def test_nobody_there_is_an_attempt_without_an_answer(send: Sending):
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        port = gone.getsockname()[1]
    outcome = send(_call(f"http://127.0.0.1:{port}/"), [("127.0.0.1", port)])
    assert outcome.status is None
    assert outcome.blames_endpoint


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1%eth0"],
)
def test_one_private_address_among_public_ones_refuses_the_name(address: str):
    with pytest.raises(RefusedError, match="leads to"):
        judge_addresses("partner.example", 443, ["93.184.216.34", address], exceptions=[])
    judge_addresses("partner.example", 443, [address], exceptions=[("partner.example", 443)])
