from collections import Counter
from pathlib import Path

import pytest

from labcore.kernel import EnvironmentFault
from servers.order_service import history
from servers.order_service.history import SCARCE, catalogue, discounts, purchases


def test_the_history_is_whole():
    rows = purchases()
    assert len(rows) == 69_659
    assert len({row.customer for row in rows}) == 23_570
    assert sum(row.cents for row in rows) == 250_031_563
    assert (rows[0].customer, rows[0].day, rows[0].units, rows[0].cents) == (
        1,
        "1997-01-01",
        1,
        1177,
    )


def test_every_customer_has_a_discount_and_most_have_none():
    assert len(discounts()) == 23_570
    assert Counter(discounts().values()).most_common(1)[0][0] == 0


def test_skus_are_unique_and_prices_positive_and_rising():
    skus = [disc.sku for disc in (*catalogue(), *SCARCE)]
    prices = [disc.price_cents for disc in catalogue()]
    assert len(set(skus)) == len(skus) == 1_200
    assert prices == sorted(prices)
    assert prices[0] > 0


def test_a_missing_history_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "HISTORY", tmp_path / "cdnow.csv.gz")
    with pytest.raises(EnvironmentFault, match=r"history is missing.*pip install -e"):
        purchases.__wrapped__()
