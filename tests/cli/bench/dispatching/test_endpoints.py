import httpx
import pytest

from labcore.cli.bench.dispatching import Conduct, Endpoints, conducts

HEADERS = {"webhook-id": "msg_1"}


def test_every_kind_of_fault_has_a_partner_and_half_of_them_behave_well():
    found = list(conducts([f"partner-{number}" for number in range(20)]).values())
    assert len({each.name for each in found}) == 8
    assert sum(each == Conduct() for each in found) == 10


async def test_a_fault_takes_nothing_and_a_good_answer_takes_it_once():
    told = {
        "well": Conduct(),
        "down": Conduct(down_s=60.0),
        "limited": Conduct(rate_per_s=0.5),
        "resets": Conduct(reset_share=1.0),
    }
    endpoints = Endpoints(told)
    async with endpoints.listening(), httpx.AsyncClient(trust_env=False) as http:
        statuses = [
            (await http.post(f"{endpoints.url}/partners/{name}", headers=HEADERS)).status_code
            for name in ("well", "down", "limited")
        ]
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(f"{endpoints.url}/partners/resets", headers=HEADERS)
    assert statuses == [200, 503, 429]
    assert [(each.partner, each.id) for each in endpoints.receipts] == [("well", "msg_1")]
    assert endpoints.requests == 4


async def test_whoever_hangs_does_so_until_the_other_side_leaves():
    endpoints = Endpoints({"hangs": Conduct(hang_share=1.0)})
    async with endpoints.listening(), httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(f"{endpoints.url}/partners/hangs", headers=HEADERS, timeout=0.1)
    assert not endpoints.receipts
