import base64
import xml.etree.ElementTree as ET

import pytest

from labcore.show.charts.figure import Chart, Table, corner_note, house_style, new_figure, plain_log
from labcore.show.palette import INK, PAPER


@pytest.fixture
def chart() -> Chart:
    with house_style():
        figure, grid = new_figure(height_in=2.0)
        grid[0][0].plot([1, 10, 100], [1, 20, 300])
        plain_log(grid[0][0], "y")
        corner_note(figure, "n = 3 runs")
    return Chart("one", "A <finding> & more", "A line.", "Read it.", figure, Table((), ()))


def test_the_same_figure_gives_the_same_bytes(chart: Chart):
    assert chart.svg() == chart.svg()
    assert "<dc:date>" not in chart.svg()


def test_the_svg_is_well_formed_and_carries_its_own_dark_tones(chart: Chart):
    svg = chart.svg()
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "prefers-color-scheme:dark" in svg
    assert f'[style*="fill: {INK[0]}"]{{fill:{INK[1]}!important}}' in svg
    assert f"fill: {PAPER[0]}" in svg


def test_the_svg_needs_no_font_of_ours(chart: Chart):
    assert "DejaVu" not in chart.svg()


def test_the_title_is_drawn_in_on_request_and_gone_again(chart: Chart):
    bare = chart.svg()
    assert "finding" not in bare
    assert "A &lt;finding&gt; &amp; more" in chart.svg(titled=True)
    assert chart.svg() == bare


def test_the_data_address_holds_the_svg(chart: Chart):
    head, _, body = chart.data_uri().partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(body).decode() == chart.svg()


def test_a_notebook_gets_the_finding_and_the_text_alternative(chart: Chart):
    shown = chart._repr_html_()
    assert "A &lt;finding&gt; &amp; more" in shown
    assert 'alt="A line."' in shown


def test_the_note_stands_in_the_figure(chart: Chart):
    assert "n = 3 runs" in chart.svg()
