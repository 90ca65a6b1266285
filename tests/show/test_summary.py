from collections.abc import Callable
from dataclasses import replace

import pytest

from labcore.measure import CONTROL, Recording
from labcore.show.summary import answer_of, limit_of, more_of, print_summary, span_of, summary_text

Build = Callable[..., Recording]


def test_the_answer_names_where_each_lane_stands(recording: Recording):
    answer = answer_of(recording)
    assert answer.state == "answered"
    assert answer.lead.startswith("Against reactive, threads is worse in median latency, p99")
    assert [lane.lane for lane in answer.lanes] == ["reactive", "threads", "virtual"]


def test_figures_stand_beside_their_verdicts(recording: Recording):
    reactive, threads, _ = answer_of(recording).lanes
    assert all(figure.verdict is None for figure in reactive.measured)
    first = threads.measured[0]
    assert first.label == "median latency"
    assert first.value.endswith(" ms")
    assert first.verdict is not None
    assert first.verdict.word == "slower"


def test_the_limit_of_a_lane_comes_with_its_evidence(recording: Recording):
    assert limit_of(recording, "threads").sentence == (
        "Limited by the worker pool in 6 of 6 runs. All 40 workers were busy, 12 requests queued."
    )
    assert limit_of(recording, "virtual").sentence.startswith(
        "Nothing was saturated in 6 of 6 runs"
    )


def test_a_lane_without_a_valid_run_has_no_known_limit(make_recording: Build):
    assert "nothing is known" in limit_of(make_recording(pairs=0), "threads").sentence


def test_one_pair_is_no_answer_yet(make_recording: Build):
    answer = answer_of(make_recording(pairs=1, void=(), complete=False))
    assert answer.state == "open"
    assert answer.lead.startswith("No answer yet: 1 pair counts")
    assert any("cut short" in caution for caution in answer.cautions)


def test_a_control_that_differs_withholds_the_answer(make_recording: Build):
    shaky = make_recording()
    shaky.save_verdicts(
        replace(verdict, word="slower") if verdict.arm == CONTROL else verdict
        for verdict in shaky.verdicts
    )
    answer = answer_of(shaky)
    assert answer.state == "withheld"
    assert answer.lead.startswith("No answer: reactive compared with itself came out different")


def test_a_session_of_void_pairs_says_why_there_is_no_answer(make_recording: Build):
    void = tuple((block, "reactive") for block in range(1, 7))
    busy = make_recording(void=void, repeat=False)
    assert {verdict.word for verdict in busy.verdicts} == {"void"}
    assert answer_of(busy).lead.startswith("No answer: 6 of 24 runs are void.")


def test_a_missing_control_and_void_runs_are_cautioned_about(make_recording: Build):
    cautions = " ".join(answer_of(make_recording(control=False)).cautions)
    assert "no verdict on the A/A control" in cautions
    assert "1 of 19 runs is void" in cautions


def test_the_text_has_every_verdict_with_its_interval(recording: Recording):
    text = summary_text(recording)
    for verdict in recording.verdicts:
        assert span_of(verdict) in text
    assert text.count("undecided") >= sum(one.word == "undecided" for one in recording.verdicts)
    assert "A/A control" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_an_undecided_verdict_says_how_many_more_pairs(make_recording: Build):
    one = make_recording(pairs=1, void=())
    assert {more_of(verdict) for verdict in one.verdicts} == {"about 5"}
    assert "about 5" in summary_text(one)
    assert more_of(replace(one.verdicts[0], more_pairs=None)) == "no sensible number"


def test_the_terminal_gets_the_same_words(recording: Recording, capsys: pytest.CaptureFixture[str]):
    print_summary(recording)
    assert "for this load" in capsys.readouterr().out


def test_a_narrow_terminal_loses_no_word_of_a_verdict(recording: Recording):
    text = summary_text(recording, width=80)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for verdict in recording.verdicts:
        assert span_of(verdict) in text
