import json

from labcore.kernel import utc_now
from servers.partner_webhook_dispatcher import SCENARIO
from servers.partner_webhook_dispatcher.contract import KEY_HEADER, read_event, wait_s
from servers.partner_webhook_dispatcher.workload import groups_of, purchases

VALUES = SCENARIO.values({"partners": 12, "fanout": 3, "wait_s": 7})


def test_the_same_seed_gives_the_same_events_and_another_others():
    workload = SCENARIO.workload
    first = workload.requests(seed=1, count=50, parameters=VALUES)
    assert first == workload.requests(seed=1, count=50, parameters=VALUES)
    assert first != workload.requests(seed=2, count=50, parameters=VALUES)


def test_every_request_keeps_the_contract_and_has_a_key_of_its_own():
    requests = SCENARIO.workload.requests(seed=1, count=200, parameters=VALUES)
    headers = [dict(each.headers) for each in requests]
    events = [
        read_event(head[KEY_HEADER], each.body, at=utc_now())
        for head, each in zip(headers, requests, strict=True)
    ]
    assert len({each.key for each in events}) == 200
    assert {each.type for each in events} == {f"order.paid.g{group:03}" for group in range(4)}
    assert {wait_s(head["Prefer"]) for head in headers} == {7.0}


def test_orders_are_those_of_the_history():
    (request,) = SCENARIO.workload.requests(seed=3, count=1, parameters=VALUES)
    data = json.loads(request.body)["data"]
    paid = {(each.customer, each.day, each.units, each.cents) for each in purchases()}
    assert (data["customer"], data["day"], data["units"], data["total_cents"]) in paid


def test_partners_form_as_many_groups_as_their_number_and_the_fanout_allow():
    assert groups_of(VALUES) == 4
    assert groups_of(SCENARIO.values({"partners": 2, "fanout": 3})) == 1
