from hypothesis import given
from hypothesis import strategies as st

from servers.chat_service.domain import MOST_TABS, Change, Opening, Presence

CAME = Change("lobby", "ann", present=True)
LEFT = Change("lobby", "ann", present=False)


def test_a_member_is_here_while_one_tab_beats():
    presence = Presence(patience_s=10)
    assert presence.beat("lobby", "ann", tab="a", now_s=0) == CAME
    assert presence.beat("lobby", "ann", tab="b", now_s=6) is None
    assert presence.expire(11) == []
    assert presence.here("lobby") == ["ann"]
    assert presence.expire(16) == [LEFT]
    assert presence.expire(99) == []
    assert presence.here("lobby") == []


def test_the_last_tab_closed_leaves_once():
    presence = Presence(patience_s=10)
    presence.beat("lobby", "ann", tab="a", now_s=0)
    presence.beat("lobby", "ann", tab="b", now_s=0)
    assert presence.leave("lobby", "ann", tab="a") is None
    assert presence.leave("lobby", "ann", tab="a") is None
    assert presence.leave("lobby", "ann", tab="b") == LEFT
    assert presence.leave("lobby", "ann", tab="b") is None
    assert presence.expire(99) == []


def test_tabs_are_bounded():
    presence = Presence(patience_s=10)
    for number in range(MOST_TABS + 1):
        presence.beat("lobby", "ann", tab=f"tab-{number}", now_s=0)
    assert presence.leave("lobby", "ann", tab=f"tab-{MOST_TABS}") is None
    assert presence.gauges() == {"present": 1}


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["beat", "leave", "expire"]),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["a", "b", "c"]),
        st.floats(0, 7),
    ),
    max_size=60,
)


@given(ACTS)
def test_coming_and_leaving_alternate_and_end_in_who_is_here(
    acts: list[tuple[str, str, str, float]],
):
    presence, now_s = Presence(patience_s=10), 0.0
    here: set[str] = set()
    for act, member, tab, passes_s in acts:
        now_s += passes_s
        changes: list[Change | None]
        if act == "expire":
            changes = [*presence.expire(now_s)]
        elif act == "beat":
            changes = [presence.beat("lobby", member, tab=tab, now_s=now_s)]
        else:
            changes = [presence.leave("lobby", member, tab=tab)]
        for change in filter(None, changes):
            assert (change.member in here) is not change.present
            here ^= {change.member}
        assert presence.here("lobby") == sorted(here)


def test_a_stream_begins_after_the_clients_last_id_else_after_its_acknowledgement():
    opening = Opening(acked=4, first_id=1, last_id=9)
    assert opening.begin_after(7) == 7
    assert opening.begin_after(2) == 2
    assert opening.begin_after(None) == 4
    assert opening.begin_after(1_000) == 4
