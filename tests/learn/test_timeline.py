"""Two runs, one axis of time."""

from labcore.learn.timeline import WIDTH, Track, side_by_side
from labcore.reactive import Flux, Recording
from labcore.reactive.testing import StepVerifier


def track(flux: Flux[int], *, name: str = "answer", demand: bool = False, after_s: float = 9):
    recording = Recording(name)
    script = StepVerifier.with_virtual_time(lambda: flux.record(recording))
    script.then_await(after_s).then_cancel().verify()
    return Track(recording, demand)


def test_rows_share_the_axis():
    right = track(Flux.interval(1).take(2))
    late = track(Flux.interval(2).take(2))
    assert side_by_side([right], [late]).splitlines() == [
        "                   1s 2s  4s",
        "answer, expected  -0--1 |-----",
        "answer, actual    ----0---1 |-",
    ]


def test_ends_and_demand_have_signs_of_their_own():
    failing = track(Flux.error(OSError("gone")), demand=True)
    endless = track(Flux.never(), demand=True, after_s=1)
    drawn = side_by_side([failing], [endless])
    assert "+all X OSError" in drawn
    assert drawn.splitlines()[2].rstrip("-").endswith("/")


def test_a_long_story_is_cut_and_says_so():
    long = track(Flux.interval(1).take(99), after_s=200)
    lines = side_by_side([long], [long]).splitlines()
    assert max(map(len, lines)) <= WIDTH + 1
    assert lines[-1].endswith("later moments are left out")


def test_silence_is_no_picture():
    assert side_by_side([], []) == ""


def test_demand_is_counted():
    asked = track(Flux.range(0, 9).limit_rate(4))
    above = Recording()
    Flux.range(0, 9).record(above).limit_rate(4).collect_list().block()
    assert asked.values() == 9
    assert Track(above).most_open_demand() == 4
    assert Track(above).requests() > 1
