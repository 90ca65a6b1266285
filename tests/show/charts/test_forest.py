import math
from collections.abc import Callable
from dataclasses import replace

from labcore.measure import CONTROL, Recording
from labcore.show.charts.forest import verdict_forest
from labcore.show.palette import PAPER

Build = Callable[..., Recording]


def test_every_metric_is_a_panel_with_the_control_as_a_row(recording: Recording):
    chart = verdict_forest(recording)
    assert len(chart.figure.axes) == len({verdict.metric for verdict in recording.verdicts})
    for panel in chart.figure.axes:
        assert "A/A control" in [text.get_text() for text in panel.texts]


def test_a_control_that_was_not_measured_has_its_row_all_the_same(make_recording: Build):
    chart = verdict_forest(make_recording(control=False))
    for panel in chart.figure.axes:
        texts = [text.get_text() for text in panel.texts]
        assert texts[-2:] == ["A/A control", "not measured"]


def test_undecided_marks_are_hollow_and_decided_ones_are_not(recording: Recording):
    verdicts = {verdict.word for verdict in recording.verdicts}
    assert {"undecided", "slower"} <= verdicts
    marks = [
        line.get_markerfacecolor() == PAPER[0]
        for panel in verdict_forest(recording).figure.axes
        for line in panel.lines
        if line.get_marker() not in {"None", "<", ">"}
    ]
    assert sum(marks) == sum(verdict.word == "undecided" for verdict in recording.verdicts)
    assert len(marks) == len(recording.verdicts)


def test_an_endless_interval_is_cut_with_arrows(make_recording: Build):
    wild = make_recording(pairs=6)
    first, *others = wild.verdicts
    wild.save_verdicts([replace(first, low=0.001, high=5000.0, word="undecided"), *others])
    panel = verdict_forest(wild).figure.axes[0]
    arrows = {line.get_marker() for line in panel.lines} & {"<", ">"}
    assert arrows == {"<", ">"}
    assert math.exp(panel.get_xlim()[1]) < 20


def test_the_title_counts_the_verdicts_on_lanes_alone(recording: Recording):
    lanes = [verdict for verdict in recording.verdicts if verdict.arm != CONTROL]
    assert verdict_forest(recording).title.startswith(f"{len(lanes)} verdicts against reactive: ")


def test_without_verdicts_the_title_says_so(make_recording: Build):
    assert verdict_forest(make_recording(pairs=1, verdicts=False)).title == "No verdict yet"
