"""The lifecycle by its table, and laws that hold whatever happens in whatever order."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.protocols.websocket import (
    TRANSITIONS,
    Act,
    Acts,
    Event,
    Lifecycle,
    Limits,
    Role,
    State,
    is_sendable,
)

LIMITS = Limits(
    open_within_s=10,
    ping_every_s=20,
    pong_within_s=5,
    stall_within_s=3,
    close_within_s=2,
    most_message_bytes=100,
)


def opened(role: Role = Role.SERVER, limits: Limits = LIMITS) -> Lifecycle:
    life = Lifecycle(role, limits, now_s=0.0)
    life.opened(now_s=0.0)
    return life


@pytest.mark.parametrize("role", Role)
def test_the_table_leads_forward_only(role: Role):
    for (state, _), (after, _) in TRANSITIONS[role].items():
        assert after.value >= state.value


@pytest.mark.parametrize("role", Role)
def test_nothing_happens_after_the_end(role: Role):
    assert all(TRANSITIONS[role][State.CLOSED, event] == (State.CLOSED, ()) for event in Event)


def test_our_close_waits_for_the_answer_then_the_server_cuts():
    life = opened()
    assert life.close(1001, "bye", now_s=1.0) == (Act.CLOSE,)
    assert (life.state, life.due_s) == (State.CLOSING, 3.0)
    assert life.close_heard(1001, now_s=1.5) == (Act.CUT,)
    assert (life.state, life.code, life.reason, life.clean) == (State.CLOSED, 1001, "bye", True)
    assert life.due_s is None


def test_a_client_leaves_the_cut_to_the_server():
    life = opened(Role.CLIENT)
    assert life.close_heard(1001, now_s=1.0) == (Act.CLOSE,)
    assert life.state is State.CLOSING
    assert life.lost() == ()
    assert (life.state, life.code, life.clean) == (State.CLOSED, 1001, True)


def test_a_server_that_never_cuts_is_cut():
    life = opened(Role.CLIENT)
    life.close(now_s=0.0)
    life.close_heard(1000, now_s=0.5)
    assert life.tick(now_s=1.9) == ()
    assert life.tick(now_s=2.0) == (Act.CUT,)


def test_a_close_that_is_not_answered_is_not_clean():
    life = opened()
    life.close(4001, now_s=0.0)
    assert life.tick(now_s=2.0) == (Act.CUT,)
    assert (life.code, life.clean) == (4001, False)


def test_the_server_answers_a_close_and_cuts():
    life = opened()
    assert life.close_heard(1000, "done", now_s=1.0) == (Act.CLOSE, Act.CUT)
    assert (life.state, life.code, life.clean) == (State.CLOSED, 1000, True)


@pytest.mark.parametrize(
    ("heard", "code"), [(None, 1005), (1005, 1002), (1006, 1002), (2999, 1002)]
)
def test_a_close_without_a_code_or_with_a_forbidden_one(heard: int | None, code: int):
    life = opened()
    life.close_heard(heard, now_s=1.0)
    assert life.code == code


def test_a_ping_that_is_answered_is_followed_by_the_next():
    life = opened()
    assert life.tick(now_s=19.9) == ()
    assert life.tick(now_s=20.0) == (Act.PING,)
    assert life.due_s == 25.0
    life.heard(now_s=21.0)
    assert life.tick(now_s=25.0) == ()
    assert life.tick(now_s=40.0) == (Act.PING,)


def test_a_ping_without_an_answer_ends_it():
    life = opened()
    life.tick(now_s=20.0)
    assert life.tick(now_s=25.0) == (Act.CLOSE, Act.CUT)
    assert (life.state, life.code) == (State.CLOSED, 1011)


def test_what_we_say_puts_the_ping_off_but_no_deadline():
    life = opened()
    life.said(now_s=15.0)
    assert life.due_s == 35.0
    life.tick(now_s=35.0)
    life.said(now_s=36.0)
    assert life.due_s == 40.0


def test_without_a_limit_for_pongs_silence_is_no_sin():
    life = opened(limits=Limits(ping_every_s=20, pong_within_s=None))
    assert [life.tick(now_s=now_s) for now_s in (20.0, 40.0, 60.0)] == [(Act.PING,)] * 3


def test_a_message_beyond_the_limit_ends_it_with_1009():
    life = opened()
    assert life.heard(size_bytes=100, now_s=1.0) == ()
    assert life.heard(size_bytes=101, now_s=1.0) == (Act.CLOSE,)
    assert (life.state, life.code, life.due_s) == (State.CLOSING, 1009, 3.0)


def test_a_reader_that_stalls_is_cut_with_1013():
    life = opened()
    life.held(now_s=1.0)
    life.held(now_s=3.0)
    assert life.due_s == 4.0
    assert life.tick(now_s=4.0) == (Act.CUT,)
    assert life.code == 1013


def test_a_reader_that_goes_on_in_time_stays():
    life = opened()
    life.held(now_s=1.0)
    life.freed()
    assert life.tick(now_s=4.0) == ()
    assert life.state is State.OPEN


def test_a_handshake_that_takes_too_long_is_cut():
    life = Lifecycle(Role.SERVER, LIMITS, now_s=0.0)
    assert life.tick(now_s=10.0) == (Act.CUT,)
    assert (life.state, life.code) == (State.CLOSED, 1006)


def test_what_cannot_happen_is_refused():
    life = Lifecycle(Role.SERVER, LIMITS, now_s=0.0)
    with pytest.raises(
        UsageError, match="'heard' cannot happen to a connection that is CONNECTING"
    ):
        life.heard(now_s=0.0)
    life.opened(now_s=0.0)
    with pytest.raises(UsageError, match="'opened' cannot happen"):
        life.opened(now_s=0.0)


def test_limits_are_positive():
    with pytest.raises(UsageError, match="close_within_s=0 must be above 0"):
        Limits(close_within_s=0)


Steps = list[tuple[str, float]]
TELLING: dict[str, Callable[[Lifecycle, float], Acts]] = {
    "heard": lambda life, now_s: life.heard(now_s=now_s),
    "huge": lambda life, now_s: life.heard(size_bytes=101, now_s=now_s),
    "close": lambda life, now_s: life.close(4000, now_s=now_s),
    "close heard": lambda life, now_s: life.close_heard(4999, now_s=now_s),
    "tick": lambda life, now_s: life.tick(now_s=now_s),
}
NOTED: dict[str, Callable[[Lifecycle, float], None]] = {
    "held": lambda life, now_s: life.held(now_s=now_s),
    "freed": lambda life, _: life.freed(),
    "said": lambda life, now_s: life.said(now_s=now_s),
}
STEPS = st.lists(st.tuples(st.sampled_from([*TELLING, *NOTED]), st.floats(0, 30)), max_size=40)


@given(role=st.sampled_from(Role), steps=STEPS)
def test_whatever_happens_it_never_goes_back_and_closes_once(role: Role, steps: Steps):
    life, now_s = opened(role), 0.0
    acts: list[Act] = []
    for step, later_s in steps:
        before, now_s = life.state, now_s + later_s
        if step in NOTED:
            NOTED[step](life, now_s)
        else:
            acts += TELLING[step](life, now_s)
        assert life.state.value >= before.value
    assert acts.count(Act.CLOSE) <= 1
    assert acts.count(Act.CUT) <= 1
    assert (Act.CLOSE in acts) <= is_sendable(life.code)


@given(role=st.sampled_from(Role), steps=STEPS)
def test_an_open_connection_whose_peer_is_dead_ends_by_its_deadlines_alone(
    role: Role, steps: Steps
):
    life, now_s = opened(role), 0.0
    for step, later_s in steps:
        now_s += later_s
        if step == "held":
            life.held(now_s=now_s)
        elif step == "tick":
            life.tick(now_s=now_s)
    for _ in range(4):
        if life.due_s is not None:
            life.tick(now_s=life.due_s)
    assert life.state is State.CLOSED
    assert life.due_s is None
