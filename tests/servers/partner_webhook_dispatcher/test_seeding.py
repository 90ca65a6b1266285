from typing import Any

from labcore.lanes import ServiceSetting
from labcore.virtual import AsyncDatabase
from servers.partner_webhook_dispatcher import SCENARIO
from servers.partner_webhook_dispatcher.desk import Desk
from servers.partner_webhook_dispatcher.guard import Rules
from servers.partner_webhook_dispatcher.office import Office
from servers.partner_webhook_dispatcher.seeding import RECEIVER, seed
from servers.partner_webhook_dispatcher.wiring import lab_of

VALUES = SCENARIO.values({"partners": 3, "fanout": 2, "ordered_partners": 1, "places": 5})


async def _seeded(url: str, peers: dict[str, str]) -> list[dict[str, Any]]:
    setting = ServiceSetting("structured", VALUES, url, peers)
    desk = Desk(1, Rules(), concurrency=9, lease_s=1.0)
    async with AsyncDatabase(url, size=1) as database:
        office = Office(database, desk)
        await seed(office, setting, lab_of(setting))
        return await office.partners()


async def test_a_runs_partners_are_registered_at_its_receiver_and_move_with_it(dispatcher_url: str):
    first = await _seeded(dispatcher_url, {RECEIVER: "http://127.0.0.1:8001"})
    assert [each["id"] for each in first] == ["partner-000", "partner-001", "partner-002"]
    assert [each["ordered"] for each in first] == [True, False, False]
    assert {each["places"] for each in first} == {5}
    moved = await _seeded(dispatcher_url, {RECEIVER: "http://127.0.0.1:8002"})
    assert [each["url"] for each in moved] == [
        f"http://127.0.0.1:8002/partners/{each['id']}" for each in first
    ]


async def test_without_a_receiver_nobody_is_registered(dispatcher_url: str):
    assert await _seeded(dispatcher_url, {}) == []
