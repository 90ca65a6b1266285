"""Marble diagrams say what happened: in the picture, on a terminal, and to a reader who listens."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from labcore.kernel import UsageError
from labcore.reactive import Flux, Recording
from labcore.reactive.testing import StepVerifier
from labcore.show.marbles import MOST_MARKS, Marbles, marbles

SVG = "{http://www.w3.org/2000/svg}"


def even(value: int) -> bool:
    return value % 2 == 0


@pytest.fixture
def filtered() -> Marbles:
    """Four ticks, every other refused below, two asked for and then one more."""
    source, below = Recording("source"), Recording("even")

    def flux() -> Flux[int]:
        ticks = Flux.interval(1).take(4).on_backpressure_buffer()
        return ticks.record(source).filter(even).record(below)

    script = StepVerifier.with_virtual_time(flux, 1).then_await(2).expect_next(0)
    script.then_request(1).then_await(2).expect_next(2).then_await().then_cancel().verify()
    return marbles(source, below, title="Refused values <use up> no demand")


def elements(diagram: Marbles, tag: str) -> list[ET.Element]:
    """The elements of that kind in the picture."""
    return list(ET.fromstring(diagram.svg()).iter(f"{SVG}{tag}"))


def test_every_value_is_a_marble_and_refused_ones_are_dashed(filtered: Marbles):
    kinds = [circle.get("class") for circle in elements(filtered, "circle")]
    assert sorted(str(kind) for kind in kinds) == ["marble"] * 4 + ["marble refused"]


def test_a_value_has_one_colour_in_every_row(filtered: Marbles):
    colours = [circle.get("stroke") for circle in elements(filtered, "circle")]
    in_source, below = colours[:3], colours[3:]
    assert below == [in_source[0], in_source[2]]


def test_demand_is_drawn_as_steps_with_its_requests(filtered: Marbles):
    asked = [
        text.text for text in elements(filtered, "text") if text.get("class") == "asked middle"
    ]
    assert asked == ["+1", "+1", "+1", "+1"]
    assert len(elements(filtered, "path")) == 2


def test_the_picture_carries_its_text_alternative(filtered: Marbles):
    root = ET.fromstring(filtered.svg())
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Refused values <use up> no demand"
    description = root.find(f"{SVG}desc")
    assert description is not None
    assert description.text == " ".join(filtered.sentences())


def test_the_picture_is_drawn_for_light_and_dark_pages(filtered: Marbles):
    assert "prefers-color-scheme:dark" in filtered.svg()


def test_marks_of_one_row_do_not_touch():
    recording = Recording("values")
    StepVerifier.create(Flux.range(0, 30).record(recording)).expect_next_count(30).verify_complete()
    places = [float(str(c.get("cx"))) for c in elements(marbles(recording), "circle")]
    assert all(after - before >= 24 for before, after in pairwise(places))


def test_time_is_in_proportion_where_there_is_room():
    recording = Recording("ticks")
    script = StepVerifier.with_virtual_time(lambda: Flux.interval(1).take(3).record(recording))
    script.then_await(3).expect_next_count(3).verify_complete()
    first, second, third = (float(str(c.get("cx"))) for c in elements(marbles(recording), "circle"))
    assert third - second == pytest.approx(second - first, abs=1)


def test_the_sentences_tell_the_story_in_order(filtered: Marbles):
    story = filtered.sentences()
    assert story[:4] == [
        "At 0 s source is subscribed to.",
        "At 0 s even is subscribed to.",
        "At 0 s even is asked for 1; 1 open.",
        "At 0 s source is asked for 1; 1 open.",
    ]
    assert "At 2 s source signals 1, which is refused below." in story
    assert "At 3 s even signals 2; 0 open." in story


def test_the_text_shows_signals_over_demand(filtered: Marbles):
    lines = filtered.text(width=200).splitlines()
    source, demand, below = lines[3], lines[4], lines[5]
    assert re.fullmatch(r"source +-+0-+\(1\)-+2-+/", source)
    assert demand.split() == ["demand", "+1=1", "0", "+1=1", "0"]
    assert below.startswith("even")


def test_the_text_is_folded_to_the_terminals_width(filtered: Marbles):
    assert all(len(line) <= 60 for line in filtered.text(width=60).splitlines()[2:])


def test_the_ends_differ():
    ends = {}
    for name, source in {
        "complete": Flux.empty(),
        "error": Flux.error(ValueError("no")),
        "cancel": Flux.never(),
    }.items():
        recording = Recording(name)
        script = StepVerifier.create(source.record(recording)).expect_subscription()
        {
            "complete": script.expect_complete,
            "error": script.expect_error,
            "cancel": script.then_cancel,
        }[name]().verify()
        ends[name] = marbles(recording)
    assert ends["complete"].text().splitlines()[3].endswith("|")
    assert ends["error"].text().splitlines()[3].endswith("X")
    assert ends["cancel"].text().splitlines()[3].endswith("/")
    assert "fails with ValueErro" in ends["error"].sentences()[-1]
    assert "is cancelled." in ends["cancel"].sentences()[-1]
    for kind, diagram in ends.items():
        css = "end" if kind == "complete" else kind
        assert any(line.get("class") == css for line in elements(diagram, "line"))


def test_each_subscription_has_its_row():
    recording = Recording("twice")
    source = Flux.just("a long label that is cut").record(recording)
    for _ in range(2):
        StepVerifier.create(source).expect_next_count(1).verify_complete()
    diagram = marbles(recording)
    assert diagram.rows == ("twice #1", "twice #2")
    assert "a long la…" in diagram.svg()


def test_unbounded_demand_stays_unbounded():
    recording = Recording()
    StepVerifier.create(Flux.just(1).record(recording)).expect_next(1).verify_complete()
    diagram = marbles(recording)
    assert diagram.rows == ("stream 1",)
    assert "At 0 s stream 1 is asked for ∞; ∞ open." in re.sub(
        r"At \S+ .?s", "At 0 s", str(diagram.sentences())
    )


def test_a_long_story_is_cut_and_says_so():
    recording = Recording("long")
    count = MOST_MARKS + 50
    StepVerifier.create(Flux.range(0, count).record(recording)).expect_next_count(
        count
    ).verify_complete()
    later = Recording("later")
    StepVerifier.create(Flux.just(1).record(later)).expect_next(1).verify_complete()
    diagram = marbles(recording, later)
    assert len(diagram.events) == MOST_MARKS
    assert "marks are left out" in diagram.sentences()[-1]
    assert "later marks left out" in diagram.svg()


def test_notebooks_get_the_picture_and_the_text(filtered: Marbles):
    bundle = filtered._repr_mimebundle_()
    assert bundle == {"image/svg+xml": filtered.svg(), "text/plain": filtered.text()}


def test_a_stream_that_has_not_run_cannot_be_drawn():
    with pytest.raises(UsageError, match="nothing was recorded"):
        marbles(Recording("idle"))
