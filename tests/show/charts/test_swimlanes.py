import xml.etree.ElementTree as ET

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from labcore.kernel import FOR_FORKS, PARKED, Trace, UsageError
from labcore.show import swimlanes
from labcore.show.charts.swimlanes import MOST_ROWS
from labcore.show.palette import LANE_STYLES

MS = 1_000_000
PAY = "POST /payments"


def virtual() -> Trace:
    """A virtual thread: 2 ms on its carrier, 40 ms parked on the payment, 2 ms again."""
    trace = Trace("virtual")
    for start, end in ((0, 2), (42, 44)):
        trace.add(
            "mounted",
            who="order-1",
            kind="running",
            start_ns=start * MS,
            end_ns=end * MS,
            on="Main",
        )
    trace.add(PARKED, who="order-1", kind="waiting", start_ns=2 * MS, end_ns=42 * MS)
    trace.add(PAY, who="order-1", kind="waiting", start_ns=2 * MS, end_ns=41 * MS)
    return trace


def threads() -> Trace:
    """A pool thread: 1 ms in line, then a turn of 50 ms, of which it waits 3 and 40."""
    trace = Trace("threads")
    name = "worker_0"
    trace.add("worker pool", who=name, kind="queued", start_ns=0, end_ns=MS)
    trace.add("place", who=name, kind="running", start_ns=MS, end_ns=51 * MS, on=name)
    trace.add(FOR_FORKS, who=name, kind="waiting", start_ns=2 * MS, end_ns=5 * MS, on=name)
    trace.add(PAY, who=name, kind="waiting", start_ns=5 * MS, end_ns=45 * MS, on=name)
    return trace


def bars(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def test_the_title_says_whom_the_common_wait_holds():
    chart = swimlanes(threads(), virtual())
    assert chart.title == f"While {PAY} is awaited, threads holds an OS thread, virtual none"
    assert swimlanes(virtual()).title == f"While {PAY} is awaited, virtual holds no OS thread"


def test_lanes_come_first_and_the_os_threads_that_carried_them_last():
    one, two = swimlanes(threads(), virtual()).figure.axes
    labels = [[text.get_text() for text in axes.get_yticklabels()] for axes in (one, two)]
    assert labels == [["worker_0"], ["order-1", "Main (OS thread)"]]


def test_requests_share_their_time_axis():
    one, two = swimlanes(threads(), virtual()).figure.axes
    assert one.get_xlim() == two.get_xlim()
    assert one.get_xlim()[1] >= 51


def test_only_a_wait_that_holds_its_os_thread_is_hatched():
    one, two = swimlanes(threads(), virtual()).figure.axes
    assert len([bar for bar in bars(one) if bar.get_hatch()]) == 2
    assert [bar for bar in bars(two) if bar.get_hatch()] == []


def test_a_held_thread_s_waits_lie_above_its_turn():
    axes = swimlanes(threads()).figure.axes[0]
    widths = [round(bar.get_width()) for bar in bars(axes)]
    assert widths[0] == 50  # drawn first; the rest covers it
    assert set(widths[1:]) == {1, 3, 40}


def test_colour_is_the_lane_s():
    colours = {to_hex(bar.get_facecolor()) for bar in bars(swimlanes(virtual()).figure.axes[0])}
    assert LANE_STYLES["virtual"].color in colours


def test_the_text_form_counts_a_held_thread_s_wait_as_no_work():
    chart = swimlanes(threads(), virtual())
    assert "worker_0 ran 7 ms and waited 43 ms" in chart.alt
    assert "order-1 ran 4 ms and waited 40 ms" in chart.alt
    assert len(chart.table.rows) == len(threads().spans) + len(virtual().spans)
    assert ("threads", "worker_0", "waiting", PAY, 5.0, 40.0, "worker_0") in chart.table.rows
    assert ET.fromstring(chart.svg()).tag.endswith("svg")


def test_more_lanes_than_there_is_room_for_are_left_out_and_counted():
    trace = Trace("reactive")
    for number in range(MOST_ROWS + 5):
        end_ns = (number + 1) * MS
        trace.add(
            "step", who=f"Task-{number}", kind="running", start_ns=0, end_ns=end_ns, on="Main"
        )
    chart = swimlanes(trace)
    labels = [text.get_text() for text in chart.figure.axes[0].get_yticklabels()]
    assert len(labels) == MOST_ROWS
    assert "Task-0" not in labels
    assert "6 rows that did least left out" in chart.svg()


def test_nothing_to_draw_is_refused():
    with pytest.raises(UsageError, match="nothing to draw"):
        swimlanes()
    with pytest.raises(UsageError, match="nothing to draw"):
        swimlanes(Trace("empty"))
