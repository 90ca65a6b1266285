import socket

import pytest

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Request
from labcore.measure.target import Target


def test_a_request_is_complete_with_host_and_length():
    target = Target.resolve("http://127.0.0.1:8080/shop/")
    order = Request("POST", "/orders", (("Idempotency-Key", "k1"),), b'{"a":1}')
    assert target.encode(order) == (
        b"POST /shop/orders HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nIdempotency-Key: k1\r\n"
        b'Content-Length: 7\r\n\r\n{"a":1}'
    )
    assert target.family == socket.AF_INET
    assert target.address == ("127.0.0.1", 8080)


def test_an_empty_post_says_so_and_a_get_says_nothing():
    target = Target.resolve("http://127.0.0.1:1")
    assert b"Content-Length: 0\r\n\r\n" in target.encode(Request("POST", "/"))
    assert target.encode(Request("GET", "/")) == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"


def test_the_port_is_80_unless_given():
    assert Target.resolve("http://127.0.0.1").address == ("127.0.0.1", 80)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:80", "https://127.0.0.1", "http://", "http://h:99999", "http://h/?q=1"],
)
def test_what_is_no_plain_http_url_is_refused(url: str):
    with pytest.raises(UsageError, match="give http://host:port"):
        Target.resolve(url)


def test_an_unknown_host_is_the_peers_fault():
    with pytest.raises(PeerError, match="no address for 'nobody"):
        Target.resolve("http://nobody.invalid:80")


@pytest.mark.parametrize(
    "request_",
    [
        Request("HEAD", "/"),
        Request("CONNECT", "/"),
        Request("GET /", "/"),
        Request("GET", "orders"),
        Request("GET", "/a b"),
        Request("GET", "/ü"),
        Request("GET", "/", (("X", "a\r\nY: b"),)),
        Request("GET", "/", (("", "a"),)),
        Request("GET", "/", (("Content-Length", "3"),)),
        Request("GET", "/", (("host", "elsewhere"),)),
    ],
)
def test_a_request_that_would_break_its_framing_is_refused(request_: Request):
    with pytest.raises(UsageError):
        Target.resolve("http://127.0.0.1:1").encode(request_)
