"""The reports of searches: the answer in words, chart, limits, void runs, how to reproduce."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from labcore.kernel import UsageError
from labcore.measure import Recording, RunRow
from labcore.show.report import render_report, write_report
from labcore.show.search import SECTIONS, search_of

LADDER = {"lowest_per_s": 10, "highest_per_s": 160, "start_per_s": 20, "steps_per_doubling": 1}
P99_MS = {"p": 50.0, "f": 900.0, "v": 50.0}
HELD = ((2, "ppp"), (3, "vff"))  # rung, and each run: passes, fails, void


@pytest.fixture(scope="module")
def row(recording: Recording) -> RunRow:
    return RunRow(**{str(k): v for k, v in recording.runs.iloc[0].items()})


@pytest.fixture
def search(tmp_path: Path, recording: Recording, row: RunRow) -> Recording:
    tries = {"reactive": HELD, "threads": ((2, "ff"), (1, "ppp"))}
    return build(tmp_path / "run", recording, row, tries)


def build(
    folder: Path, like: Recording, row: RunRow, tries: Mapping[str, Sequence[tuple[int, str]]]
) -> Recording:
    made = Recording.create(
        folder,
        replace(like.design, arms=tuple(lane for lane in tries if lane != "reactive")),
        {"cpu": "Test <b>CPU</b>"},
        command="labcore capacity checkout --objective 'p99<250ms'",
        kind="capacity",
        facts={"objective": "p99<250ms", "ladder": LADDER},
    )
    samples, requests = like.samples(row.run), like.requests(row.run)
    for lane, rungs in tries.items():
        for rung, letters in rungs:
            for attempt, letter in enumerate(letters, 1):
                run = replace(
                    row,
                    run=f"{lane}{rung}{attempt}",
                    arm=lane,
                    lane=lane,
                    block=rung,
                    attempt=attempt,
                    p99_ms=P99_MS[letter],
                    bottleneck="server CPU" if letter == "f" else "none",
                    evidence="All of its core." if letter == "f" else "",
                    void=letter == "v",
                    why="The driver sent late." if letter == "v" else "",
                )
                made.add_run(run, samples=samples, requests=requests)
    made.finish(complete=True)
    return made


def test_the_answer_is_the_bracket_of_every_lane(search: Recording):
    found = search_of(search)
    assert found.question == "How much load can reactive and threads take on checkout?"
    assert "reactive 40 to 80/s and threads 20 to 40/s" in found.lead
    assert [sentence.partition(":")[0] for sentence in found.sentences] == ["reactive", "threads"]
    assert found.limits.rows[0][:4] == ("reactive", "40 to 80/s", "bracketed", "server CPU")


def test_the_page_has_the_sections_in_their_order_and_says_all_that_is_owed(search: Recording):
    page = render_report(search)
    assert re.findall(r'<section id="(\w+)"', page) == list(SECTIONS)
    assert re.findall(r'<li><a href="#(\w+)"', page) == list(SECTIONS)
    assert page.count("<img ") == page.count("<figure ") == 1
    assert "11 runs were made, 10 count, 1 is void." in page
    assert "The driver sent late." in page
    assert "labcore capacity checkout --objective &#39;p99&lt;250ms&#39;" in page
    assert "Test &lt;b&gt;CPU&lt;/b&gt;" in page
    assert '<th scope="row">objective</th><td>p99&lt;250ms</td>' in page
    assert "offered rate, requests/s" not in page  # the ladder says at which rates
    assert "<code>capacity.json</code>" in page


def test_the_same_search_gives_the_same_page(search: Recording):
    assert render_report(search) == render_report(Recording.open(search.path))


def test_a_search_cut_short_before_its_first_run_has_a_page(
    tmp_path: Path, recording: Recording, row: RunRow
):
    empty = build(tmp_path / "empty", recording, row, {"reactive": ()})
    page = write_report(empty, tmp_path / "report.html").read_text()
    assert "No run was recorded" in page
    assert "reactive unknown" in page


def test_a_kind_without_a_page_is_refused(search: Recording):
    search.experiment["kind"] = "seance"
    with pytest.raises(UsageError, match="seance"):
        render_report(search)


@pytest.fixture
def crossing(tmp_path: Path, recording: Recording, row: RunRow) -> Recording:
    """A map of two cells, one of them measured: the lane twice as slow, one run of it void."""
    design = replace(recording.design, arms=("threads",), pairs=6)
    grid = {
        "parameter": "payment_ms", "values": [20.0], "rates_per_s": [50.0, 100.0],
        "metric": "p50_ms", "unit": "ms",
    }  # fmt: skip
    whole = Recording.create(
        tmp_path / "map",
        design,
        {},
        command="labcore crossover checkout",
        kind="crossover",
        facts={"grid": grid},
    )
    cell = Recording.create(whole.path / "cells" / "payment_ms_20_rate_50", design, {})
    samples, requests = recording.samples(row.run), recording.requests(row.run)
    for block in range(7):
        for arm, p50_ms in (("reactive", 40.0 + block), ("threads", 80.0 + block)):
            void = (block, arm) == (6, "threads")
            run = replace(
                row, run=f"{arm}{block}", block=block, arm=arm, lane=arm, p50_ms=p50_ms, void=void,
                why="The host took away 3.0% of the machine's time." if void else "",
            )  # fmt: skip
            cell.add_run(run, samples=samples, requests=requests)
    cell.finish(complete=True)
    return whole


def test_a_map_says_in_words_what_was_decided_where(crossing: Recording):
    found = search_of(crossing)
    assert found.question == "Where does threads beat reactive on checkout?"
    assert found.sentences == ("payment_ms 20 ms: threads is slower at 50/s on median latency.",)
    assert [chart.name for chart in found.charts] == ["crossover"]


def test_the_page_of_a_map_lists_the_void_runs_of_its_cells(crossing: Recording):
    page = render_report(crossing)
    assert re.findall(r'<section id="(\w+)"', page) == list(SECTIONS)
    assert "14 runs were made, 13 count, 1 is void." in page
    assert "cells/payment_ms_20_rate_50/threads6" in page
    assert "The host took away 3.0%" in page
    assert "labcore crossover checkout" in page


def test_a_map_without_a_cell_has_a_page(crossing: Recording, tmp_path: Path):
    empty = Recording.create(
        tmp_path / "empty",
        crossing.design,
        {},
        kind="crossover",
        facts={"grid": crossing.experiment["grid"]},
    )
    assert "No run was recorded" in render_report(empty)
