import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from labcore.lanes import ServiceSetting
from labcore.protocols.webhook import Secret, signed_headers
from servers.partner_webhook_dispatcher import SCENARIO
from servers.partner_webhook_dispatcher.receiver import build, initial

VALUES = SCENARIO.values(
    {"partners": 4, "partner_ms": 0.0, "slow_partners": 1, "hanging_partners": 1}
)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the simulated partners, without sockets."""
    service = build(ServiceSetting("partner-receiver", VALUES))
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://partners") as client:
        yield client


def test_the_last_partners_hang_and_those_before_them_are_slow():
    behaviours = [initial(f"partner-{number:03}", VALUES) for number in range(4)]
    assert [each.hang_share for each in behaviours] == [0, 0, 0, 1]
    assert [each.delay_ms for each in behaviours] == [0, 0, 1_000, 0]


async def test_a_partner_with_a_secret_refuses_what_it_cannot_verify(http: httpx.AsyncClient):
    secret, other = Secret.generate(), Secret.generate()
    (await http.put("/partners/a", json={"secret": secret.text()})).raise_for_status()
    statuses = []
    for key in (secret, other):
        headers = signed_headers("msg_1", b"{}", timestamp_s=int(time.time()), secrets=[key])
        statuses.append(
            (await http.post("/partners/a", content=b"{}", headers=headers)).status_code
        )
    lines = (await http.get("/ledger?partner=a")).text.splitlines()
    assert statuses == [200, 401]
    assert [json.loads(line)["verified"] for line in lines] == [True, False]
    assert secret.text() not in "".join(lines)


async def test_a_partner_fails_first_as_often_as_it_is_told(http: httpx.AsyncClient):
    await http.put("/partners/a", json={"failures": 2, "retry_after_s": 3})
    replies = [await http.post("/partners/a") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [503, 503, 200]
    assert replies[0].headers["Retry-After"] == "3"


@pytest.mark.parametrize("body", ["[1]", "x", '{"unknown": 1}', '{"secret": "whsec_short"}'])
async def test_what_is_no_behaviour_is_refused(http: httpx.AsyncClient, body: str):
    assert (await http.put("/partners/a", content=body)).status_code == 422
