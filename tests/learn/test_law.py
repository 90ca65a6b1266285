"""A stage remembers what passed, and a law says how it was broken."""

import pytest

from labcore.learn.law import Finding, Law, Stage, law, shown
from labcore.learn.result import Status
from labcore.reactive import Flux, Mono


def test_a_decorated_function_is_a_law():
    @law("it is told", breach=Status.IGNORES_DEMAND)
    def told(answer: object, stage: Stage) -> None:
        stage.expect(answer is not None, expected="something", actual="nothing")

    assert isinstance(told, Law)
    assert (told.sentence, told.breach) == ("it is told", Status.IGNORES_DEMAND)
    told.play(len, Stage())
    with pytest.raises(Finding, match="expected something, actual nothing"):
        told.play(None, Stage())  # type: ignore[arg-type]  # what the law refuses


@pytest.mark.parametrize(
    ("made", "told"),
    [(None, "is a `return` missing"), (Mono.just(1), "Mono"), ([1], r"list, \[1\]")],
    ids=["nothing", "mono", "list"],
)
def test_what_is_no_flux_is_named(made: object, told: str):
    with pytest.raises(Finding, match=told):
        Stage().flux(made)


def test_the_free_run_goes_on_where_the_script_has_stopped():
    stage = Stage()
    script = stage.verifier(lambda: stage.flux(Flux.interval(1).take(3)), 1, at=((1.5, 5),))
    script.then_await(1).expect_next(0).then_cancel().verify()
    assert stage.tracks[0].values() == 1
    stage.run_freely()
    assert list(stage.tracks[0].tokens().values()) == ["0", "1", "2 |"]


def test_what_was_to_be_told_apart_is_drawn_side_by_side():
    stage = Stage()
    stage.contrast(lambda: Flux.just(1), lambda: Flux.just(2), name="flow")
    assert stage.right is not None
    for one in (stage, stage.right):
        one.run_freely()
    assert [track.tokens() for track in (stage.right.tracks[0], stage.tracks[0])] == [
        {0.0: "1 |"},
        {0.0: "2 |"},
    ]


def test_streams_are_shown_by_their_type():
    assert shown([Mono.just(1), "a", Flux.empty()]) == "[Mono, 'a', Flux]"
