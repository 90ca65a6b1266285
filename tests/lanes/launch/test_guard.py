import socket
from collections.abc import Iterator

import pytest

from labcore.lanes import ServiceSetting, hosted

READY_S = 15.0
DEADLINE_S = 0.3
WHOLE = b"GET / HTTP/1.1\r\nhost: lab\r\n\r\n"

Address = tuple[str, int]


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """A hosted service with a short deadline."""
    with pytest.MonkeyPatch.context() as patch:
        services = __file__.rpartition("/launch/")[0] + "/services"
        patch.setenv("PYTHONPATH", services)
        setting = ServiceSetting(lane="reactive", parameters={})
        with hosted("lab_children:build", setting, name="guarded", deadline_s=DEADLINE_S) as child:
            host, _, port = child.wait_ready(READY_S)["url"].removeprefix("http://").partition(":")
            yield host, int(port)


def connect(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=READY_S)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def answer(connection: socket.socket) -> bytes:
    """One whole answer of the service."""
    received = b""
    while not received.endswith(b" bytes"):
        part = connection.recv(65536)
        assert part, f"closed after {received!r}"
        received += part
    return received


@pytest.mark.parametrize(
    "owed",
    [
        b"",
        b"\r\n",
        b"G",
        b"GET / HTTP/1.1\r\nhost: lab\r\nx-slow: ",
        b"POST / HTTP/1.1\r\nhost: lab\r\ncontent-length: 10\r\n\r\nhalf",
    ],
    ids=["silent", "blank", "first-byte", "head", "body"],
)
def test_a_request_that_does_not_arrive_gets_408(address: Address, owed: bytes):
    with connect(address) as connection:
        connection.sendall(owed)
        assert rest(connection).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("owed", [b"GET / HT", b"\r\n"], ids=["head", "blank"])
def test_a_later_request_of_a_connection_has_the_deadline_too(address: Address, owed: bytes):
    with connect(address) as connection:
        connection.sendall(WHOLE)
        assert answer(connection).startswith(b"HTTP/1.1 200 ")
        connection.sendall(owed)
        assert rest(connection).startswith(b"HTTP/1.1 408 ")


def test_slow_clients_harm_nobody_and_idle_connections_are_kept(address: Address):
    """Idle connections outlive the deadline by as much as it takes to see slow ones end twice."""
    with connect(address) as healthy:
        healthy.sendall(WHOLE)
        assert answer(healthy).startswith(b"HTTP/1.1 200 ")
        for _ in range(2):
            slow = [connect(address) for _ in range(50)]
            for connection in slow:
                connection.sendall(b"GET / HTTP/1.1\r\n")
            healthy.sendall(WHOLE)
            assert answer(healthy).startswith(b"HTTP/1.1 200 ")
            for connection in slow:
                with connection:
                    assert rest(connection).startswith(b"HTTP/1.1 408 ")
        healthy.sendall(WHOLE)
        assert answer(healthy).startswith(b"HTTP/1.1 200 ")


def test_a_running_answer_is_not_cut(address: Address):
    """The stream of a request that arrived whole goes on while others are cut."""
    with connect(address) as stream, connect(address) as slow:
        stream.sendall(b"GET /stream HTTP/1.1\r\nhost: lab\r\n\r\n")
        received = b""
        while b"begun" not in received:
            received += stream.recv(65536)
        assert rest(slow).startswith(b"HTTP/1.1 408 ")
        stream.settimeout(0)
        with pytest.raises(BlockingIOError):  # an end would be read as empty
            stream.recv(1)


def test_a_request_in_two_parts_is_served(address: Address):
    with connect(address) as connection:
        connection.sendall(WHOLE[:9])
        connection.sendall(WHOLE[9:])
        assert answer(connection).startswith(b"HTTP/1.1 200 ")
