"""Where a delivery must not go, by spelling and by address."""

import socket
from ipaddress import ip_address

import pytest

from labcore.kernel import RefusedError, UsageError
from labcore.protocols.webhook import destination, refusal

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.0.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.1",
    "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "2002:7f00:1::", "2002:0a00:0001::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1", "2001:0:4136:e378:8000:63bf:80ff:fffe",
]  # fmt: skip
PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
SPELLINGS = [
    "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_refused(address: str):
    assert refusal(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str):
    assert refusal(ip_address(address)) is None


@pytest.mark.parametrize("host", SPELLINGS)
def test_odd_spellings_resolve_to_what_is_refused(host: str):
    """They are no literals to us; the system's resolver reads them, and its answer is judged."""
    found = destination(f"https://{host}/hook")
    try:
        resolved = socket.getaddrinfo(found.host, found.port, proto=socket.IPPROTO_TCP)
    except socket.gaierror:
        return  # a resolver that does not read it reaches nothing either
    addresses = [ip_address(str(entry[4][0])) for entry in resolved]
    assert all(refusal(address) for address in addresses)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "scheme 'http'"),
        ("ftp://example.com/", "scheme 'ftp'"),
        ("file:///etc/passwd", "host"),
        ("gopher://example.com/", "scheme"),
        ("https://example.com:22/", "port 22"),
        ("https://example.com:5432/", "port 5432"),
        ("https://user:secret@example.com/", "credentials"),
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:169.254.169.254]/", "metadata"),
        ("https://[fe80::1%25eth0]/", "link-local"),
        ("https://169.254.169.254/latest/meta-data/", "metadata"),
        ("https://10.1.2.3/", "private"),
        ("https://0.0.0.0/", "unspecified"),
    ],
)
def test_urls_are_refused_by_their_spelling(url: str, said: str):
    with pytest.raises((RefusedError, UsageError), match=said) as caught:
        destination(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "https://", "https:///x", "https://a b/", "https://a:99999/"])
def test_what_is_no_url_is_the_caller_s_fault(url: str):
    with pytest.raises(UsageError):
        destination(url)


def test_a_public_url_passes_with_its_port():
    found = destination("https://Hooks.Example.com/in?x=1")
    assert (found.host, found.port, found.excepted) == ("hooks.example.com", 443, False)


def test_the_lab_s_own_receiver_is_named_by_host_and_port():
    lab = {("127.0.0.1", 9_000)}
    assert destination("http://127.0.0.1:9000/", exceptions=lab).excepted
    with pytest.raises(RefusedError):
        destination("http://127.0.0.1:9001/", exceptions=lab)
    with pytest.raises(RefusedError):
        destination("https://127.0.0.1/", exceptions=lab)
