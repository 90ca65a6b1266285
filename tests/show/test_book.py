"""The exported book opens from disk, fetches nothing, and loses no output."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, sync_playwright

from labcore.kernel import EnvironmentFault, UsageError
from labcore.show import book
from labcore.show.book import read_chapter, write_book

v4: Any = nbformat.v4  # nbformat has no types


def output(**data: str) -> dict[str, Any]:
    made: dict[str, Any] = v4.new_output("display_data", data=data)
    return made


def code(source: str, *outputs: dict[str, Any]) -> Any:
    return v4.new_code_cell(source, outputs=list(outputs))


def written(folder: Path, name: str, *cells: Any) -> Path:
    path = folder / f"{name}.ipynb"
    path.write_text(v4.writes(v4.new_notebook(cells=list(cells))), encoding="utf-8")
    return path


def prose(text: str) -> Any:
    return v4.new_markdown_cell(text)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebooks")
    first = written(
        folder,
        "01_first",
        prose(
            "# Waiting\n\nWhat costs *more*? See [the next](02_second.ipynb#queues).\n\n## A law\n\nLittle."
        ),
        code(
            "x = '<b>' + \"&\"\nprint(x)",
            v4.new_output("stream", text="\x1b[31m<b>&\x1b[0m\n"),
            output(
                **{
                    "image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>",
                    "text/plain": "a line",
                }
            ),
        ),
        code("chart", output(**{"text/html": "<figure><img src='data:,' alt='bars'></figure>"})),
        code(
            "panel",
            output(**{"application/vnd.jupyter.widget-view+json": "{}", "text/plain": "VBox()"}),
        ),
    )
    second = written(
        folder,
        "02_second",
        prose("# Queues\n\n## Queues\n\n| a | b |\n|---|---|\n| 1 | <script>alert(1)</script> |"),
        code("1 / 0", v4.new_output("error", ename="Z", evalue="", traceback=["\x1b[1mZ\x1b[0m: no"])),
    )  # fmt: skip
    return write_book([first, second], folder / "book", title="The book").parent


def test_every_chapter_has_a_page_and_the_index_has_them_all(pages: Path):
    assert sorted(path.name for path in pages.iterdir()) == [
        "01_first.html",
        "02_second.html",
        "index.html",
    ]
    index = (pages / "index.html").read_text(encoding="utf-8")
    assert '<a href="01_first.html">Waiting</a>' in index
    assert '<a href="02_second.html#queues-2">Queues</a>' in index


def test_code_and_outputs_are_shown_as_they_are(pages: Path):
    page = (pages / "01_first.html").read_text(encoding="utf-8")
    assert "<pre>&lt;b&gt;&amp;\n</pre>" in page
    assert 'alt="a line"' in page
    assert "alt='bars'" in page
    assert "make lab" in page
    assert "VBox" not in page
    assert '<details class="code" open>' in page


def test_links_between_chapters_lead_to_their_pages(pages: Path):
    page = (pages / "01_first.html").read_text(encoding="utf-8")
    assert 'href="02_second.html#queues"' in page
    assert 'rel="next"' in page


def test_markup_in_prose_stays_text_and_errors_are_kept(pages: Path):
    page = (pages / "02_second.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert '<div class="error"><pre>Z: no</pre></div>' in page
    assert "<table>" in page


@pytest.mark.parametrize(
    ("markup", "told"),
    [("<img src='data:,'>", "text alternative"), ("<script></script>", "script")],
)
def test_an_output_that_no_page_may_have_is_refused(tmp_path: Path, markup: str, told: str):
    bad = written(tmp_path, "bad", code("x", output(**{"text/html": markup})))
    with pytest.raises(UsageError, match=told):
        write_book([bad], tmp_path / "book", title="x")


def test_what_is_no_book_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.ipynb").write_text("{")
    with pytest.raises(UsageError, match="no notebook"):
        read_chapter(tmp_path / "a.ipynb", set())
    with pytest.raises(UsageError, match="no chapter"):
        write_book([], tmp_path / "book", title="x")
    good = written(tmp_path, "good", prose("# Good"))
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot write the book"):
        write_book([good], tmp_path / "file", title="x")
    monkeypatch.setattr(book, "MOST_BYTES", 100)
    with pytest.raises(UsageError, match="outputs are too large"):
        write_book([good], tmp_path / "book", title="x")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.mark.browser
def test_the_book_opens_offline_folds_and_finds(browser: Browser, pages: Path):
    complaints: list[str] = []
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((pages / "index.html").as_uri())
    page.get_by_label("Search the book").fill("little")
    page.get_by_text("1 found").wait_for()
    page.get_by_role("link", name="Waiting: A law").click()
    page.wait_for_url("**/01_first.html#a-law")
    assert page.locator("details.code[open]").count() == 3
    page.get_by_role("button", name="Fold all code").click()
    assert page.locator("details.code[open]").count() == 0
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    context.close()
    assert complaints == []
