from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest

from labcore.lanes import ServiceSetting
from servers.payment_adapter_service import build

PAYMENT = {"amount_cents": 500, "payment_token": "tok_1"}


@pytest.fixture
async def adapter() -> AsyncIterator[httpx.AsyncClient]:
    """The service without a socket, its acquirer quick."""
    service = build(ServiceSetting("payment-adapter", {"payment_ms": 0.0}))
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://adapter") as client:
        yield client


async def pay(adapter: httpx.AsyncClient, key: str, **changes: Any) -> httpx.Response:
    return await adapter.post(
        "/payments", json={**PAYMENT, **changes}, headers={"Idempotency-Key": key}
    )


async def entry(adapter: httpx.AsyncClient, key: str) -> dict[str, Any]:
    document: dict[str, Any] = (await adapter.get(f"/payments/{key}")).json()
    return document


async def test_a_payment_is_approved_and_known(adapter: httpx.AsyncClient):
    reply = await pay(adapter, "k")
    assert (reply.status_code, reply.json()["status"]) == (201, "approved")
    known = await entry(adapter, "k")
    assert (known["id"], known["amount_cents"], known["charges"]) == (reply.json()["id"], 500, 1)


async def test_a_repeated_key_charges_once_even_at_the_same_time(adapter: httpx.AsyncClient):
    await adapter.put("/settings", json={"latency_ms": 5})
    replies = []

    async def once() -> None:
        replies.append(await pay(adapter, "k"))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(once)
    assert {reply.text for reply in replies} == {(await pay(adapter, "k")).text}
    assert (await entry(adapter, "k"))["charges"] == 1


async def test_a_key_is_for_one_amount(adapter: httpx.AsyncClient):
    await pay(adapter, "k")
    assert (await pay(adapter, "k", amount_cents=501)).status_code == 409


async def test_a_declined_card_stays_declined(adapter: httpx.AsyncClient):
    await adapter.put("/settings", json={"decline_share": 1})
    assert [(await pay(adapter, "k")).status_code for _ in range(2)] == [402, 402]
    assert (await entry(adapter, "k"))["status"] == "declined"


async def test_a_failed_attempt_charges_nothing_and_the_next_may_pass(adapter: httpx.AsyncClient):
    await adapter.put("/settings", json={"failure_share": 1})
    assert (await pay(adapter, "k")).status_code == 503
    assert (await entry(adapter, "k"))["charges"] == 0
    await adapter.put("/settings", json={"failure_share": 0})
    assert (await pay(adapter, "k")).status_code == 201


async def test_a_void_takes_a_charge_back_for_good(adapter: httpx.AsyncClient):
    await pay(adapter, "k")
    assert (await adapter.post("/payments/k/void")).json()["status"] == "voided"
    assert (await pay(adapter, "k")).status_code == 409
    assert (await adapter.get("/payments")).json()["counts"] == {"voided": 1}


async def test_a_void_stops_an_attempt_that_is_still_under_way(adapter: httpx.AsyncClient):
    await adapter.put("/settings", json={"latency_ms": 50, "sigma": 0})
    async with anyio.create_task_group() as group:
        group.start_soon(pay, adapter, "k")
        while (await adapter.get("/payments/k")).status_code == 404:
            await anyio.lowlevel.checkpoint()
        await adapter.post("/payments/k/void")
    known = await entry(adapter, "k")
    assert (known["status"], known["charges"]) == ("voided", 0)


async def test_a_void_before_the_payment_keeps_it_from_happening(adapter: httpx.AsyncClient):
    assert (await adapter.post("/payments/k/void")).status_code == 200
    assert (await pay(adapter, "k")).status_code == 409
    assert (await entry(adapter, "k"))["charges"] == 0


async def test_an_outage_refuses_payments_and_voids_and_still_tells(adapter: httpx.AsyncClient):
    await pay(adapter, "k")
    await adapter.put("/settings", json={"outages": [[0, 1000]]})
    assert (await pay(adapter, "other")).status_code == 503
    assert (await adapter.post("/payments/k/void")).status_code == 503
    assert (await entry(adapter, "k"))["status"] == "approved"


async def test_settings_are_shown_and_changed_and_refused(adapter: httpx.AsyncClient):
    changed = await adapter.put("/settings", json={"sigma": 0.25})
    assert changed.json()["sigma"] == (await adapter.get("/settings")).json()["sigma"] == 0.25
    refused = await adapter.put("/settings", json={"sigma": -1})
    assert (refused.status_code, "sigma=-1" in refused.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    "changes", [{"amount_cents": 0}, {"amount_cents": True}, {"payment_token": 1}]
)
async def test_a_malformed_payment_is_refused(adapter: httpx.AsyncClient, changes: dict[str, Any]):
    assert (await pay(adapter, "k", **changes)).status_code == 422


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 9_000, b" " * 20_000])
async def test_what_is_no_object_is_refused(adapter: httpx.AsyncClient, body: bytes):
    reply = await adapter.post("/payments", content=body, headers={"Idempotency-Key": "k"})
    assert reply.status_code == 422


async def test_an_unknown_key_is_not_found(adapter: httpx.AsyncClient):
    assert (await adapter.get("/payments/k")).status_code == 404


async def test_above_the_rate_the_answer_is_429_and_says_when_to_come_again(
    adapter: httpx.AsyncClient,
):
    await adapter.put("/settings", json={"rate_per_s": 0.5})
    assert (await pay(adapter, "one")).status_code == 201
    refused = await pay(adapter, "two")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2")
    assert (await entry(adapter, "two"))["charges"] == 0


async def test_the_ledger_lists_as_many_as_asked(adapter: httpx.AsyncClient):
    for number in range(3):
        await pay(adapter, f"k{number}")
    listed = (await adapter.get("/payments?limit=2")).json()["newest"]
    assert [each["key"] for each in listed] == ["k2", "k1"]
    assert (await adapter.get("/payments?limit=many")).status_code == 422


async def test_a_bad_day_is_shown_and_ends_with_new_settings(adapter: httpx.AsyncClient):
    begun = await adapter.post("/bad-day", json={"seed": 1, "speed": 1})
    scenes = begun.json()["scenes"]
    assert len(scenes) == 23
    assert (await adapter.get("/settings")).json() == scenes[0]["settings"]
    now = (await adapter.get("/bad-day")).json()
    assert now["scene"] == "calm"
    assert 0 < now["left_s"] <= scenes[-1]["at_s"]
    await adapter.put("/settings", json={"sigma": 0.1})
    assert (await adapter.get("/bad-day")).json() == {"scene": "as set", "left_s": 0}


async def test_a_day_from_the_parameters_begins_with_the_first_payment():
    values = {"payment_ms": 0.0, "bad_day": 3, "bad_day_speed": 1.0}
    service = build(ServiceSetting("payment-adapter", values))
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://adapter") as adapter:
        assert (await adapter.get("/bad-day")).json()["scene"] == "as set"
        await pay(adapter, "k")
        assert (await adapter.get("/bad-day")).json()["scene"] == "calm"


@pytest.mark.parametrize("order", [{"seed": "1"}, {"speed": True}, {"speed": 0}, {"seed": 1.5}])
async def test_a_day_that_cannot_be_is_refused(adapter: httpx.AsyncClient, order: dict[str, Any]):
    assert (await adapter.post("/bad-day", json=order)).status_code == 422
