"""The slow reader against a list of known length."""

import socket
import threading
from collections.abc import Iterator

import pytest

from labcore.cli.bench.history import read_slowly, run
from labcore.kernel import PeerError


@pytest.fixture
def url() -> Iterator[str]:
    """A server that lists five orders, in two chunks, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                connection.sendall(b'10\r\n{"id":1}\n{"id":2}\n{"i\r\n')
                connection.sendall(b'10\r\nd":3}\n{"id":4}\n{"id":5}\n\r\n0\r\n\r\n')

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_so_many_lines_are_taken_as_asked(url: str):
    taken, longest_ms = read_slowly(url, rate=1_000, seconds=0.002)
    assert taken == 2
    assert longest_ms >= 0


def test_a_list_that_ends_early_is_the_peers_fault(url: str):
    with pytest.raises(PeerError, match="ended before the reader did"):
        read_slowly(url, rate=1_000, seconds=0.1)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_quick_run_shows_a_lane_whose_memory_stays():
    (row,) = run(quick=True, lanes=["virtual"], seconds=1.0).to_dict(orient="records")
    assert (row["lane"], row["read"]) == ("virtual", 100)
    assert row["peak_over_idle_mb"] < 20
