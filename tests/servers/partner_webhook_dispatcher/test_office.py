from collections.abc import AsyncIterator
from typing import Any

import pytest

from labcore.protocols.webhook import FullJitter, Secret
from labcore.virtual import AsyncDatabase
from servers.partner_webhook_dispatcher import statements
from servers.partner_webhook_dispatcher.desk import Desk
from servers.partner_webhook_dispatcher.domain import Claimed, NewEvent, NewPartner
from servers.partner_webhook_dispatcher.guard import Rules
from servers.partner_webhook_dispatcher.office import Office

PARTNER = NewPartner(
    id="shop",
    url="https://example.com/",
    types=("a",),
    ordered=False,
    rate_per_s=0.0,
    places=4,
    timeout_s=1.0,
    retry=FullJitter(),
    secret=Secret.generate(),
)


class Keeping:
    """An office with its database and desk."""

    def __init__(self, database: AsyncDatabase) -> None:
        self.database = database
        self.desk = Desk(1, Rules(), concurrency=9, lease_s=60.0)
        self.office = Office(database, self.desk)

    async def claim(self) -> list[Claimed]:
        """What may be claimed now."""
        claiming: Any = self.desk.claiming(0.0)
        rows = await self.database.fetch_all(statements.CLAIM, claiming)
        return [statements.claimed_of(row) for row in rows]


@pytest.fixture
async def keeping(dispatcher_url: str) -> AsyncIterator[Keeping]:
    """With one partner."""
    async with AsyncDatabase(dispatcher_url, size=1) as database:
        kept = Keeping(database)
        assert await kept.office.register(PARTNER)
        yield kept


async def test_a_partner_is_known_to_the_desk_as_soon_as_it_is_registered(keeping: Keeping):
    assert keeping.desk.claiming(0.0) is not None
    assert not await keeping.office.register(PARTNER)


async def test_a_delivery_is_signed_with_the_newest_secret_first(keeping: Keeping):
    new = await keeping.office.rotate("shop", overlap_s=60.0)
    event = statements.accepting(NewEvent("msg_1", None, "", "a", "{}"))
    await keeping.database.execute(statements.ACCEPT, event)
    (claimed,) = await keeping.claim()
    assert claimed.secrets == (new, PARTNER.secret)
    assert claimed.payload == b"{}"


async def test_what_is_given_back_is_claimed_again(keeping: Keeping):
    event = statements.accepting(NewEvent("msg_1", None, "", "a", "{}"))
    await keeping.database.execute(statements.ACCEPT, event)
    claimed = await keeping.claim()
    assert await keeping.claim() == []
    await keeping.office.give_back(claimed)
    assert [each.id for each in await keeping.claim()] == [each.id for each in claimed]


async def test_what_does_not_exist_is_not_found(keeping: Keeping):
    assert await keeping.office.rotate("nobody", overlap_s=0.0) is None
    assert not await keeping.office.enable("nobody")
    assert await keeping.office.event("msg_0") is None
    assert await keeping.office.delivery(0) is None
    assert await keeping.office.replay(partner_id="nobody") == 0
