from typing import Any

import httpx

from labcore.lanes import ServiceSetting
from labcore.learn.stream_labs.counter import build

GIVEN = {"skus": 3, "most": 5, "padding_bytes": 1, "seed": 7}


async def sold() -> tuple[int, dict[str, Any]]:
    setting = ServiceSetting(lane="structured", parameters=GIVEN, database_url=None, peers={})
    transport = httpx.ASGITransport(build(setting).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://counter") as client:
        answer = await client.post("/sales", json={"count": 9, "rate_per_s": 1e6})
        return answer.json()["id"], (await client.get("/stock")).json()


async def test_sales_change_the_stock_the_same_way_for_the_same_seed():
    last_id, found = await sold()
    assert last_id == found["hub"]["published_total"] == 9
    assert sorted(found["stock"]) == ["sku-01", "sku-02", "sku-03"]
    assert set(found["stock"].values()) != {100}
    assert (await sold())[1]["stock"] == found["stock"]
