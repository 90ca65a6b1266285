import numpy as np

from labcore.show.widgets.livechart import LONGEST_SERIES, LiveChart, Series, svg


def test_a_frame_holds_x_then_y_of_each_series():
    chart = LiveChart(title="Latency", y_label="ms")
    chart.line("reactive", color="#000000").add(1.0, 10.0)
    chart.line("reactive", color="#000000").add(2.0, 20.0)
    chart.line("threads", color="#ffffff").add(3.0, 30.0)
    chart.redraw(force=True)
    assert np.frombuffer(chart.frame, np.float32).tolist() == [1, 2, 10, 20, 3, 30]
    assert [line["count"] for line in chart.series] == [2, 1]
    chart.close()


def test_the_summary_says_the_last_value_of_each_series():
    chart = LiveChart(title="Latency", y_label="ms")
    chart.line("reactive", color="#000000").add(1.0, 12.0)
    chart.line("reactive", color="#000000").add(2.0, float("nan"))
    chart.redraw(force=True)
    assert chart.summary == "Now, ms: reactive: 12"
    chart.close()


def test_redraws_are_coalesced():
    chart = LiveChart()
    chart.redraw(force=True)
    chart.line("reactive", color="#000000").add(1.0, 1.0)
    chart.redraw()
    assert chart.frame == b""
    chart.close()


def test_a_series_is_bounded_and_forgets_the_oldest():
    line = Series("reactive", "#000000")
    for number in range(LONGEST_SERIES + 1):
        line.add(float(number), 0.0)
    assert len(line.x) <= LONGEST_SERIES
    assert line.x[-1] == LONGEST_SERIES
    assert line.x[0] > 0


def test_without_a_front_end_the_bundle_carries_an_svg_with_a_text():
    chart = LiveChart(title="Latency <p99>", y_label="ms", log_y=True)
    chart.line("reactive", color="#0072b2").add(1.0, 12.0)
    bundle = chart._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert 'aria-label="Latency &lt;p99&gt;: reactive; highest 12 ms"' in data["text/html"]
    chart.close()


def test_an_empty_chart_still_draws():
    assert svg("Latency", "ms", {}).startswith("<svg")
