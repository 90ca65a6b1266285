"""The books after many orders, seen from outside: every order against its payment and its stock.

An audit keeps the keys it sent and what was answered, waits until the service has settled what it still
owes, and compares three books that nobody keeps together: the list of orders, the payment adapter's
ledger, and the stock.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from labcore.lanes import Request, Site
from servers.order_service.shopper import Shopper, adapter_of, expect, until
from servers.order_service.workload import CheckoutWorkload

BUYERS = 64
FINAL = {201: "paid", 402: "declined", 409: "out_of_stock", 504: "unpaid"}
LATER = frozenset(
    {0, 503}
)  # 0: no answer; both promise that the same key gets the order's real end
SETTLING_S = 60.0

Stocks = Mapping[str, int]


def send_orders(shopper: Shopper, *, count: int, seed: int) -> dict[str, list[int]]:
    """Orders of the history, 64 at a time: the statuses answered to each key; 0 is no answer at all."""
    requests = CheckoutWorkload().requests(seed=seed, count=count, parameters={})
    with ThreadPoolExecutor(BUYERS) as buyers:
        statuses = list(buyers.map(lambda request: _status(shopper, request), requests))
    return {_key(request): [status] for request, status in zip(requests, statuses, strict=True)}


def ask_again(shopper: Shopper, answers: dict[str, list[int]], *, count: int, seed: int) -> None:
    """Send again what was told to come again, until it has its end, and some of what has one."""
    requests = CheckoutWorkload().requests(seed=seed, count=count, parameters={})

    def settled(request: Request) -> bool:
        answers[_key(request)].append(_status(shopper, request))
        return answers[_key(request)][-1] not in LATER

    def settle(index_and_request: tuple[int, Request]) -> None:
        index, request = index_and_request
        if answers[_key(request)][-1] in LATER or index % 10 == 0:
            until(lambda: settled(request), f"the end of order {_key(request)}")

    with ThreadPoolExecutor(BUYERS) as buyers:
        list(buyers.map(settle, enumerate(requests)))


def audit(
    shopper: Shopper, answers: Mapping[str, Sequence[int]], *, before: Stocks, known: set[str]
) -> Counter[str]:
    """How the orders that are not in `known` ended. Nothing oversold, charged twice or lost.

    Raises: AssertionError naming the first book that does not agree.
    """
    until(
        lambda: _settled(shopper, known),
        "every order settled, every void done",
        within_s=SETTLING_S,
    )
    orders = {order["id"]: order for order in shopper.orders() if order["id"] not in known}
    ledger = {entry["key"]: entry for entry in shopper.ledger(limit=1_000_000)}
    ends = Counter(order["status"] for order in orders.values())
    _agree_with_answers(answers, ends)
    _agree_with_ledger(orders, ledger)
    _agree_with_stock(orders, before=before, after=stocks(shopper, before))
    return ends


def stocks(shopper: Shopper, skus: Sequence[str] | Stocks) -> dict[str, int]:
    """What is left of each product."""
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(skus, pool.map(shopper.stock, skus), strict=True))


def begin_bad_day(site: Site, *, seed: int, speed: float) -> float:
    """Begin a bad day of the payment adapter; how many seconds it lasts."""
    day = {"seed": seed, "speed": speed}
    reply = httpx.post(f"{adapter_of(site)}/bad-day", json=day, trust_env=False)
    return float(reply.raise_for_status().json()["scenes"][-1]["at_s"])


def _agree_with_answers(answers: Mapping[str, Sequence[int]], ends: Counter[str]) -> None:
    for key, statuses in answers.items():
        told = {status for status in statuses if status not in LATER}
        expect(len(told) == 1 and told <= set(FINAL), f"one end for {key}, got {statuses}")
    told_ends = Counter(FINAL[statuses[-1]] for statuses in answers.values())
    expect(ends == told_ends, f"orders as answered {dict(told_ends)}, got {dict(ends)}")


def _agree_with_ledger(
    orders: Mapping[str, Mapping[str, Any]], ledger: Mapping[str, Mapping[str, Any]]
) -> None:
    twice = [key for key, entry in ledger.items() if entry["charges"] > 1]
    expect(not twice, f"no key charged twice, got {twice[:3]}")
    for order_id, order in orders.items():
        entry = ledger.get(order_id)
        if order["status"] == "paid":
            expected = ("approved", 1, order["total_cents"], order["payment_id"])
            names = ("status", "charges", "amount_cents", "id")
            got = None if entry is None else tuple(entry[name] for name in names)
            expect(got == expected, f"payment {expected} of paid order {order_id}, got {got}")
        else:
            standing = entry is not None and entry["status"] == "approved"
            expect(not standing, f"no charge left of {order['status']} order {order_id}")


def _agree_with_stock(
    orders: Mapping[str, Mapping[str, Any]], *, before: Stocks, after: Stocks
) -> None:
    sold = Counter[str]()
    for order in orders.values():
        if order["status"] == "paid":
            for line in order["lines"]:
                sold[line["sku"]] += line["quantity"]
    wrong = {sku: (before[sku] - after[sku], sold[sku]) for sku in before}
    wrong = {sku: pair for sku, pair in wrong.items() if pair[0] != pair[1]}
    expect(
        not wrong, f"stock gone is stock paid for, got (gone, paid) {dict(list(wrong.items())[:3])}"
    )
    expect(min(after.values()) >= 0, "nothing oversold")


def _settled(shopper: Shopper, known: set[str]) -> bool:
    """No order pending, and no charge standing for an order that ended unpaid."""
    ends = {order["id"]: order["status"] for order in shopper.orders() if order["id"] not in known}
    standing = {
        entry["key"] for entry in shopper.ledger(limit=1_000_000) if entry["status"] == "approved"
    }
    unpaid = (order_id for order_id, status in ends.items() if status != "paid")
    return "pending" not in ends.values() and standing.isdisjoint(unpaid)


def _status(shopper: Shopper, request: Request) -> int:
    url = f"{shopper.site.url}{request.path}"
    try:
        return shopper.http.request(
            request.method, url, content=request.body, headers=dict(request.headers)
        ).status_code
    except httpx.TransportError:
        return 0


def _key(request: Request) -> str:
    return str(json.loads(request.body)["payment_token"])
