from hypothesis import given
from hypothesis import strategies as st

from servers.payment_adapter_service.ledger import Entry, Ledger


def opened(ledger: Ledger, key: str, *, now_s: float = 0.0) -> Entry:
    entry = ledger.open(key, amount_cents=5, payment_token="tok", now_s=now_s)
    assert entry is not None
    return entry


def test_a_key_is_one_entry():
    ledger = Ledger()
    assert opened(ledger, "k") is opened(ledger, "k") is ledger.find("k")
    assert ledger.find("other") is None


def test_the_document_sums_and_lists_the_newest():
    ledger = Ledger()
    for number in range(5):
        opened(ledger, f"k{number}").status = "approved" if number % 2 else "voided"
    document = ledger.document(most_listed=2)
    assert document["counts"] == {"voided": 3, "approved": 2}
    assert [each["key"] for each in document["newest"]] == ["k4", "k3"]
    assert "touched_s" not in document["newest"][0]


def test_what_is_final_is_forgotten_and_stays_in_the_sums():
    ledger = Ledger(voidable_s=10)
    for number in range(100):
        entry = opened(ledger, f"k{number}", now_s=float(number))
        entry.status, entry.charges = "approved", 2 if number == 0 else 1
    document = ledger.document(most_listed=1_000)
    assert len(document["newest"]) == 11
    assert (document["counts"]["approved"], document["forgotten"]) == (100, 89)
    assert document["charged_twice"] == 1


def test_a_touched_key_stays():
    ledger = Ledger(voidable_s=10)
    for number in range(100):
        opened(ledger, f"k{number}", now_s=float(number)).status = "approved"
        opened(ledger, "kept", now_s=float(number)).status = "voided"
    assert ledger.find("kept") is not None


def test_a_full_ledger_refuses_rather_than_forget():
    ledger = Ledger(most_keys=2, voidable_s=10)
    one, two = opened(ledger, "1"), opened(ledger, "2")
    assert ledger.open("3", now_s=11.0) is None
    assert ledger.find("1") is one
    assert ledger.find("2") is two
    two.status = "declined"
    opened(ledger, "4", now_s=22.0)
    assert ledger.find("2") is None


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.floats(0, 30)), max_size=60))
def test_what_is_open_or_voidable_is_never_forgotten(steps: list[tuple[int, bool, float]]):
    ledger, now_s = Ledger(most_keys=10, voidable_s=20), 0.0
    last: dict[str, tuple[float, bool]] = {}
    for number, settles, later_s in steps:
        now_s += later_s
        entry = ledger.open(f"k{number}", now_s=now_s)
        if entry is not None:
            entry.status = "approved" if settles else "processing"
            last[entry.key] = (now_s, settles)
        for key, (touched_s, settled) in last.items():
            if not settled or now_s - touched_s <= 20:
                assert ledger.find(key) is not None
        assert len(ledger.document(most_listed=99)["newest"]) <= 10
