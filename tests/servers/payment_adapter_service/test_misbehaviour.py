"""What goes wrong on the wire needs a wire: a real server, asked over real connections."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx
import pytest

from labcore.lanes import ServiceSetting, hosted
from servers.payment_adapter_service import build

PAYMENT = b'{"amount_cents":500,"payment_token":"tok_1"}'
TARGET = "servers.payment_adapter_service.app:build"
CALM = {"latency_ms": 0, "hang_share": 0, "reset_share": 0, "drip_share": 0}


@pytest.fixture(scope="module")
def hosted_adapter() -> Iterator[str]:
    """The URL of a running adapter."""
    setting = ServiceSetting("payment-adapter", {"payment_ms": 0.0})
    with hosted(TARGET, setting, name="payment-adapter") as child:
        yield child.wait_ready(30)["url"]


async def asked(url: str, key: str, **settings: float) -> anyio.abc.SocketStream:
    """A connection over which a payment was sent, under these settings."""
    async with httpx.AsyncClient() as http:
        (await http.put(f"{url}/settings", json={**CALM, **settings})).raise_for_status()
    parts = urlsplit(url)
    connection = await anyio.connect_tcp(parts.hostname or "", parts.port or 0)
    head = f"POST /payments HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {key}\r\n"
    await connection.send(head.encode() + b"Content-Length: %d\r\n\r\n" % len(PAYMENT) + PAYMENT)
    return connection


async def all_of(connection: anyio.abc.SocketStream) -> bytes:
    """What comes until the other side closes."""
    return b"".join([part async for part in connection])


async def entry(url: str, key: str) -> tuple[str, int, int]:
    """Status, attempts and charges of a key."""
    async with httpx.AsyncClient() as http:
        known = (await http.get(f"{url}/payments/{key}")).json()
    return known.get("status", ""), known.get("attempts", 0), known.get("charges", 0)


async def test_a_reset_breaks_the_connection_after_the_charge(hosted_adapter: str):
    connection = await asked(hosted_adapter, "reset", reset_share=1)
    async with connection:
        with pytest.raises(anyio.BrokenResourceError) as broken:
            await all_of(connection)
    assert isinstance(broken.value.__cause__, ConnectionResetError)
    assert await entry(hosted_adapter, "reset") == ("approved", 1, 1)


async def test_a_drip_sends_the_head_and_then_byte_after_byte(hosted_adapter: str):
    connection = await asked(hosted_adapter, "drip", drip_share=1, drip_ms=2)
    received = b""
    while b"\r\n\r\n" not in received:
        received += await connection.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    parts = [body]
    while sum(map(len, parts)) < length:
        parts.append(await connection.receive())
    await connection.aclose()
    assert head.startswith(b"HTTP/1.1 201")
    assert b"".join(parts).startswith(b'{"id":"pay_')
    assert len(parts) > length / 4


async def test_a_hang_lasts_until_the_client_leaves_and_charges_nothing(hosted_adapter: str):
    connection = await asked(hosted_adapter, "hang", hang_share=1)
    async with httpx.AsyncClient() as http:
        while (await http.get(f"{hosted_adapter}/stats")).json().get("in_flight") != 1:
            await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(0.05) as patience:
            await connection.receive()
        assert patience.cancelled_caught
        await connection.aclose()
        while (await http.get(f"{hosted_adapter}/stats")).json()["in_flight"] != 0:
            await anyio.lowlevel.checkpoint()
    assert await entry(hosted_adapter, "hang") == ("processing", 1, 0)


async def test_a_stop_lets_go_of_those_who_hang():
    setting = ServiceSetting("payment-adapter", {"payment_ms": 0.0})
    child = hosted(TARGET, setting, name="payment-adapter")
    with child:
        url = child.wait_ready(30)["url"]
        connection = await asked(url, "hang", hang_share=1)
        async with httpx.AsyncClient() as http:
            while (await http.get(f"{url}/stats")).json().get("in_flight") != 1:
                await anyio.lowlevel.checkpoint()
        async with connection:
            await anyio.to_thread.run_sync(child.stop)
            assert b"503" in await all_of(connection)


async def test_without_a_connection_there_is_no_reset():
    service = build(ServiceSetting("payment-adapter", {"payment_ms": 0.0}))
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://adapter") as adapter:
        await adapter.put("/settings", json={"reset_share": 1})
        headers = {"Idempotency-Key": "k"}
        assert (
            await adapter.post("/payments", content=PAYMENT, headers=headers)
        ).status_code == 500
