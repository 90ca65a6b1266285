from typing import Any

import pytest
from standardwebhooks import Webhook

from servers.partner_webhook_dispatcher import SCENARIO

LANES = [lane.name for lane in SCENARIO.lanes]


@pytest.mark.parametrize("lane", LANES)
def test_every_lane_delivers_signed_retries_and_gives_up_with_a_reason(
    lane: str, start: Any, endpoint: Any
):
    """Also: a stranger verifies the signature, and one event keeps its id over all attempts."""
    dispatcher = start(lane)
    secret = dispatcher.register("judge", f"{endpoint.url}/judge", types=["judged"])["secret"]
    dispatcher.register("down", f"{endpoint.url}/down", types=["judged"], retry={"attempts": 3})
    endpoint.answer = lambda received: (503 if received.path == "/down" else 204, {})
    event = dispatcher.publish("judged", amount=1)
    down, judge = dispatcher.settled(event)
    assert (judge["status"], judge["attempts"]) == ("delivered", 1)
    assert (down["status"], down["attempts"]) == ("dead", 3)
    assert down["reason"] == "gave up after 3 attempts; the last: status 503"
    assert {received.id for received in endpoint.received} == {event}
    (sent,) = [each for each in endpoint.received if each.path == "/judge"]
    assert Webhook(secret).verify(sent.body, dict(sent.headers))["data"] == {"amount": 1}
    log = dispatcher.http.get(f"/deliveries/{down['id']}").json()["attempt_log"]
    assert [(each["attempt"], each["status"]) for each in log] == [(1, 503), (2, 503), (3, 503)]
