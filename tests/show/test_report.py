import base64
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread
from playwright.sync_api import Browser, Page, sync_playwright

from labcore.kernel import UsageError, VoidRunError
from labcore.measure import CONTROL, Recording
from labcore.show.charts import CHARTS
from labcore.show.report import render_report, write_report

Build = Callable[..., Recording]

MOST_BYTES = 3_000_000
SECTIONS = [
    "answer", "verdicts", "control", "charts", "limits", "method", "validity", "parameters",
    "environment", "reproduce",
]  # fmt: skip


class Outline(HTMLParser):
    """The elements of a page in their order, with attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(recording: Recording) -> str:
    return render_report(recording)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_the_page_has_one_title_landmarks_and_a_language(outline: Outline):
    assert len(outline.all("h1")) == 1
    assert outline.all("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main", "footer"):
        assert len(outline.all(landmark)) == 1


def test_sections_come_in_the_order_a_reader_asks(outline: Outline):
    assert [section["id"] for section in outline.all("section")] == SECTIONS
    links = [link["href"] for link in outline.all("a")]
    assert [f"#{name}" for name in SECTIONS] == links[1:]


def test_headings_skip_no_level(outline: Outline):
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_every_figure_has_its_text_alternative_and_its_numbers(outline: Outline):
    images = outline.all("img")
    assert len(images) == len(outline.all("figure")) == 6
    for image in images:
        assert image["src"] is not None
        assert image["src"].startswith("data:image/svg+xml;base64,")
        assert len(image["alt"] or "") > 40


def test_identifiers_are_unique_and_labels_point_somewhere(outline: Outline):
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    wanted = [a["aria-labelledby"] for _, a in outline.elements if "aria-labelledby" in a]
    assert set(wanted) <= set(ids)


def test_nothing_is_fetched_and_one_hashed_script_is_all_that_may_run(page: str, outline: Outline):
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [m["content"] for m in outline.all("meta") if "http-equiv" in m]
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not any(name.startswith("on") for _, a in outline.elements for name in a)


def test_every_verdict_stands_there_with_word_and_interval(page: str, recording: Recording):
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    for verdict in recording.verdicts:
        told = f"{verdict.low:.2f} to {verdict.high:.2f}"
        assert any(told in row and f"word-{verdict.word.split()[0]}" in row for row in rows)


def test_void_runs_are_listed_with_their_reason(page: str, outline: Outline):
    assert "25 runs were made, 24 count, 1 is void." in outline.text
    assert "driver run-queue delay 11.0 % over 5 %" in page


def test_the_exact_command_and_the_place_of_the_data_are_told(page: str, recording: Recording):
    assert str(recording.experiment["command"]) in page
    assert f"labcore report {recording.path.parent.name}/{recording.path.name}" in page


def test_what_comes_from_outside_is_text_and_never_markup(page: str):
    assert "Test <b>CPU</b>" not in page
    assert "Test &lt;b&gt;CPU&lt;/b&gt;" in page


def test_no_secret_reaches_the_page(page: str, make_recording: Build):
    assert "hunter2" not in page
    assert "postgresql://localhost/lab" in page
    telling = make_recording(pairs=0, parameters={"api_key": "abc-123", "pool": 40})
    assert "abc-123" not in render_report(telling)


def test_the_same_recording_gives_the_same_page(page: str, recording: Recording):
    assert render_report(recording) == page


def test_a_verdict_without_an_interval_is_refused(make_recording: Build, tmp_path: Path):
    boastful = make_recording(pairs=6)
    first, *others = boastful.verdicts
    boastful.save_verdicts([replace(first, word="faster", low=float("nan")), *others])
    with pytest.raises(VoidRunError, match="has no interval"):
        write_report(boastful, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_without_a_text_alternative_is_refused(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
):
    first, *others = CHARTS
    mute = (lambda shown: replace(first(shown), alt=" "), *others)
    monkeypatch.setattr("labcore.show.report.CHARTS", mute)
    with pytest.raises(UsageError, match="has no text alternative"):
        render_report(recording)


def test_a_directory_is_no_place_for_a_report(recording: Recording, tmp_path: Path):
    with pytest.raises(UsageError, match="is a directory"):
        write_report(recording, tmp_path)


@pytest.mark.parametrize(
    "shape",
    [
        {"pairs": 0, "complete": False},
        {"pairs": 1, "void": (), "complete": False},
        {"pairs": 2, "control": False, "verdicts": False, "complete": False},
        {"arms": ("gateway",), "pairs": 6},
    ],
    ids=["no run", "one block", "no verdict", "foreign lane"],
)
def test_every_recording_has_a_report(shape: dict[str, Any], make_recording: Build):
    outline = Outline(render_report(make_recording(**shape)))
    assert [section["id"] for section in outline.all("section")] == SECTIONS
    assert ("partial" in outline.text) is (not shape.get("complete", True))


def test_a_control_that_differs_is_told_first(make_recording: Build, recording: Recording):
    shaky = make_recording(pairs=0)
    shaky.save_verdicts(
        replace(one, word="slower") if one.arm == CONTROL else one for one in recording.verdicts
    )
    assert "No answer: reactive compared with itself came out different" in render_report(shaky)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def written(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_report(recording, tmp_path_factory.mktemp("report") / "deep" / "report.html")
    assert path.stat().st_size < MOST_BYTES
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path


class Visit:
    """A page opened with the network off, and everything it tried or complained about."""

    def __init__(self, browser: Browser, path: Path, **context: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._context = browser.new_context(offline=True, **context)
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def close(self) -> None:
        """Leave, and forget everything."""
        self._context.close()


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, written: Path) -> Iterator[Open]:
    visits: list[Visit] = []

    def opened(**context: Any) -> Visit:
        visits.append(Visit(browser, written, **context))
        return visits[-1]

    yield opened
    for one in visits:
        one.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_opens_offline_without_a_complaint(visit: Open, width: int, scheme: str):
    seen = visit(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert seen.complaints == []
    outside = [url for url in seen.requests if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert seen.page.locator("h1").count() == 1
    assert seen.page.locator("img:not([alt]), img[alt='']").count() == 0
    drawn = "images => images.every(image => image.complete && image.naturalWidth > 0)"
    assert seen.page.locator("img").evaluate_all(drawn)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_figures_turn_dark_with_the_page(visit: Open):
    """The corner of a figure is paper: bright by day, dark by night."""
    corners = {}
    for scheme in ("light", "dark"):
        picture = visit(color_scheme=scheme).page.locator("img").first.screenshot()
        corners[scheme] = float(imread(io.BytesIO(picture))[2, 2, :3].max())
    assert corners["light"] > 0.9
    assert corners["dark"] < 0.2


@pytest.mark.browser
def test_tables_sort_both_ways_by_number_and_say_so(visit: Open):
    table = visit().page.locator("#verdicts table")
    head = table.locator("th").nth(3)
    for direction in ("ascending", "descending"):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == direction
        ratios = [
            float(text.strip("×")) for text in table.locator("td:nth-child(4)").all_inner_texts()
        ]
        assert ratios == sorted(ratios, reverse=direction == "descending")
    assert table.locator("th[aria-sort]").count() == 1


@pytest.mark.browser
def test_without_scripts_everything_is_there_but_the_sorting(visit: Open):
    seen = visit(java_script_enabled=False)
    assert seen.page.locator("#verdicts tbody tr").count() == 10
    assert seen.page.locator("th button").count() == 0


@pytest.mark.browser
def test_wide_tables_scroll_inside_their_box_and_are_reached_by_keyboard(visit: Open):
    box = visit(viewport={"width": 360, "height": 800}).page.locator("#verdicts .scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert box.get_attribute("tabindex") == "0"


@pytest.mark.browser
def test_on_paper_nothing_is_cut_off_dark_or_hidden_behind_a_control(visit: Open):
    page = visit(viewport={"width": 700, "height": 990}, color_scheme="dark").page
    page.emulate_media(media="print")
    ink = "element => getComputedStyle(element).color"
    paper = "element => getComputedStyle(element).backgroundColor"
    assert page.locator("body").evaluate(ink) == "rgb(0, 0, 0)"
    assert page.locator("body").evaluate(paper) == "rgb(255, 255, 255)"
    assert page.locator("nav, .skip, summary").evaluate_all(
        "found => found.every(one => !one.checkVisibility())"
    )
    assert page.locator("#environment td").last.is_visible()
    cut = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).length"
    assert page.locator(".scroll").evaluate_all(cut) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
