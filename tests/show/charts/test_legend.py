from labcore.show.charts.figure import house_style, new_figure
from labcore.show.charts.legend import key
from labcore.show.palette import lane_styles


def test_the_key_has_one_entry_a_lane_with_its_marker():
    styles = lane_styles(["reactive", "threads"])
    with house_style():
        figure, _ = new_figure(height_in=2.0)
        key(figure, styles, lines=True)
    (legend,) = figure.legends
    handles = legend.legend_handles
    assert [text.get_text() for text in legend.get_texts()] == ["reactive", "threads"]
    assert [handle.get_marker() for handle in handles] == ["o", "s"]  # type: ignore[union-attr]  # drawn as lines


def test_no_lanes_make_no_key():
    with house_style():
        figure, _ = new_figure(height_in=2.0)
        key(figure, {})
    assert figure.legends == []
