"""The book as HTML: executed chapters as pages that open from disk, with no network.

It decides how a notebook's cells look on a page: prose as prose, code folded away or not, the last
state of every output. Nothing in a page may fetch anything: the policy in its head forbids it, and the
two small scripts that fold and search are named by their digests.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import nbformat
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from labcore.kernel import EnvironmentFault, UsageError

MOST_BYTES: Final = 5_000_000  # of a chapter
_SLUG: Final = re.compile(r"[^\w]+")
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
_CHAPTER_LINK: Final = re.compile(r"^(?:\./)?([\w.-]+)\.ipynb(#.*)?$")
_PICTURES: Final = ("image/svg+xml", "image/png", "image/jpeg")
_NO_WIDGET: Final = "A panel stands here in JupyterLab: <code>make lab</code>. The cells that follow do the same without it."


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a chapter, with the text below it for the search."""

    level: int
    title: str
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class BookChapter:
    """One chapter, ready to be put on a page."""

    name: str  # of the file, without its suffix
    title: str
    headings: tuple[Heading, ...]
    body: str

    @property
    def file(self) -> str:
        """The page's name."""
        return f"{self.name}.html"


def write_book(notebooks: Sequence[Path], folder: Path, *, title: str) -> Path:
    """Write a page for each executed notebook, and an index with contents and search; its path.

    Raises:
        UsageError: no notebook, one that cannot be read, or a chapter above 5 MB.
        EnvironmentFault: the folder cannot be written.
    """
    if not notebooks:
        raise UsageError("there is no chapter to export; name a folder with notebooks")
    names = {path.stem for path in notebooks}
    chapters = [read_chapter(path, names) for path in notebooks]
    pages = {chapter.file: _page("chapter.html", chapter, chapters, title) for chapter in chapters}
    for chapter in chapters:
        size = len(pages[chapter.file].encode())
        if size > MOST_BYTES:
            raise UsageError(
                f"chapter {chapter.name} is {size / 1e6:.1f} MB as a page, above {MOST_BYTES / 1e6:g}; "
                "its outputs are too large"
            )
    pages["index.html"] = _page("index.html", None, chapters, title)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            (folder / name).write_text(page, encoding="utf-8")
    except OSError as exc:
        raise EnvironmentFault(f"cannot write the book to {folder}: {exc.strerror}") from exc
    return folder / "index.html"


def read_chapter(path: Path, names: set[str]) -> BookChapter:
    """A notebook with its outputs. `names` are the chapters that links may lead to.

    Raises: UsageError when it is no notebook.
    """
    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    except (OSError, ValueError, nbformat.reader.NotJSONError) as exc:
        raise UsageError(f"{str(path)!r} is no notebook: {exc}") from exc
    headings: list[Heading] = []
    parts = [_cell(cell, headings, names) for cell in notebook.cells]
    title = next((each.title for each in headings if each.level == 1), path.stem)
    return BookChapter(path.stem, title, tuple(headings), "\n".join(parts))


def _cell(cell: Mapping[str, Any], headings: list[Heading], names: set[str]) -> str:
    if cell["cell_type"] == "markdown":
        return f'<div class="prose">{_prose(cell["source"], headings, names)}</div>'
    if cell["cell_type"] != "code" or not cell["source"].strip():
        return ""
    code = highlight(cell["source"], PythonLexer(), _formatter())
    folded = f'<details class="code" open><summary>Code</summary>{code}</details>'
    shown = "".join(_output(output) for output in cell.get("outputs", []))
    return folded + (f'<div class="output">{shown}</div>' if shown else "")


def _prose(source: str, headings: list[Heading], names: set[str]) -> str:
    tokens = _markdown().parse(source)
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            title = tokens[place + 1].content.replace("`", "")
            anchor = _anchor(title, headings)
            token.attrSet("id", anchor)
            headings.append(Heading(int(token.tag[1]), title, anchor, ""))
        elif token.type == "inline":
            _note(headings, token.content)
            for child in token.children or []:
                if child.type == "link_open":
                    child.attrSet("href", _link(str(child.attrGet("href") or ""), names))
    return str(_markdown().renderer.render(tokens, _markdown().options, {}))


def _note(headings: list[Heading], text: str) -> None:
    """Text that the search finds below the heading last seen."""
    if headings and text != headings[-1].title:
        last = headings[-1]
        headings[-1] = Heading(last.level, last.title, last.anchor, f"{last.text} {text}".strip())


def _anchor(title: str, headings: Sequence[Heading]) -> str:
    slug = _SLUG.sub("-", title.lower()).strip("-") or "section"
    taken = {each.anchor for each in headings}
    if slug not in taken:
        return slug
    return next(name for number in range(2, 10_000) if (name := f"{slug}-{number}") not in taken)


def _link(target: str, names: set[str]) -> str:
    """Links to chapters lead to their pages; what is outside of the book is named by its place."""
    chapter = _CHAPTER_LINK.match(target)
    if chapter and chapter[1] in names:
        return f"{chapter[1]}.html{chapter[2] or ''}"
    return target


def _output(output: Mapping[str, Any]) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return _preformatted(output["text"])
    if kind == "error":
        trace = "\n".join(output["traceback"])
        return f'<div class="error">{_preformatted(trace)}</div>'
    return _rich(output.get("data", {}))


def _rich(data: Mapping[str, Any]) -> str:
    """The best that a page can show of a result."""
    text = str(data.get("text/plain", ""))
    for picture in _PICTURES:
        if picture in data:
            return _picture(picture, data[picture], text)
    if "text/html" in data:
        opening = '<div class="rich" tabindex="0" role="region" aria-label="Output">'
        return f"{opening}{_checked(data['text/html'])}</div>"
    if "application/vnd.jupyter.widget-view+json" in data:
        return f'<p class="widget">{_NO_WIDGET}</p>'
    if "text/markdown" in data:
        return f'<div class="rich">{_markdown().render(data["text/markdown"])}</div>'
    return _preformatted(text) if text else ""


def _preformatted(text: str) -> str:
    return f"<pre>{html.escape(_ANSI.sub('', text))}</pre>"


def _picture(kind: str, data: str, text: str) -> str:
    body = base64.b64encode(data.encode()).decode() if kind == "image/svg+xml" else data.strip()
    alt = html.escape(text or "A figure of this cell's result")
    return f'<img src="data:{kind};base64,{body}" alt="{alt}">'


def _checked(markup: str) -> str:
    """Rich output as it is, once every picture in it is known to have a text and no script is there."""
    seen = _Elements()
    seen.feed(markup)
    if seen.silent:
        raise UsageError("an output of the book shows a picture without a text alternative")
    if seen.scripts:
        raise UsageError("an output of the book carries a script, which a page cannot run")
    return markup


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.silent = 0
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag == "img" and not dict(attrs).get("alt")
        self.scripts += tag == "script"


def _page(
    template: str, chapter: BookChapter | None, chapters: Sequence[BookChapter], title: str
) -> str:
    place = None if chapter is None else chapters.index(chapter)
    return (
        _templates()
        .get_template(f"book/{template}")
        .render(
            title=title,
            chapter=chapter,
            chapters=chapters,
            body=Markup("" if chapter is None else chapter.body),  # noqa: S704 - built here, escaped part by part
            before=chapters[place - 1] if place else None,
            after=chapters[place + 1] if place is not None and place + 1 < len(chapters) else None,
            entries=Markup(json.dumps(list(_entries(chapters))).replace("<", "\\u003c")),  # noqa: S704 - JSON without a way out of its element
        )
    )


def _entries(chapters: Sequence[BookChapter]) -> Iterator[dict[str, str]]:
    for chapter in chapters:
        for each in chapter.headings:
            yield {
                "chapter": chapter.title,
                "title": each.title,
                "href": f"{chapter.file}#{each.anchor}",
                "text": each.text,
            }


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


@cache
def _formatter() -> "HtmlFormatter[str]":
    return HtmlFormatter(cssclass="python")


def _colours(style: str) -> str:
    formatter = HtmlFormatter(style=style, cssclass="python")
    return str(formatter.get_style_defs(".python"))  # type: ignore[no-untyped-call]  # the stubs lack it


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("labcore.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    day, night = (_colours(name) for name in ("friendly", "github-dark"))
    colours = [day, "@media (prefers-color-scheme: dark) {", night, "}"]
    style = _source(environment, "book/book.css") + "\n" + "\n".join(colours)
    environment.globals["style"] = Markup(style)  # noqa: S704 - our own file
    for name in ("fold", "search"):
        script = _source(environment, f"book/{name}.js")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        environment.globals[f"{name}_script"] = Markup(script)  # noqa: S704 - our own file
        environment.globals[f"{name}_hash"] = digest
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()
