"""Names resolved, values checked, and the command that measures the same again."""

import math
import shlex
from typing import Any, cast

import pytest

from labcore.kernel import UsageError
from labcore.lanes import ForeignLane, Lane, Parameter, Scenario, Workload
from labcore.measure.design import choose, command, draw_up, python_call

CARD = Scenario(
    name="shop",
    title="Shop",
    question="Which?",
    lanes=tuple(Lane(name, name, "", "", "shop:build") for name in ("reactive", "threads")),
    baseline="reactive",
    workload=cast("Workload", None),  # nothing is sent here
    parameters=(Parameter("payment_ms", 20.0, "ms", "of a payment", 0.0, 1_000.0),),
)


def test_all_lanes_are_chosen_with_the_baseline_first():
    assert list(choose(CARD, None, None)) == ["reactive", "threads"]
    assert list(choose(CARD, None, "threads")) == ["threads", "reactive"]


def test_the_baseline_is_measured_though_nobody_named_it():
    assert list(choose(CARD, ["threads"], None)) == ["reactive", "threads"]


def test_foreign_lanes_stand_beside_ours_and_may_be_the_baseline():
    chosen = choose(CARD, ["threads", "mine=http://localhost:1"], "mine")
    assert list(chosen) == ["mine", "threads"]
    assert chosen["mine"] == ForeignLane("mine", url="http://localhost:1")


@pytest.mark.parametrize(
    ("lanes", "baseline", "said"),
    [
        (["nobody"], None, "no lane 'nobody'"),
        (["threads"], "nobody", "no lane 'nobody'"),
        (["threads", "threads"], None, "'threads' is given twice"),
        (["control=http://localhost:1"], None, "'control' is kept"),
        (["mine=nothing"], None, "mine"),
    ],
)
def test_wrong_lanes_are_named(lanes: list[str], baseline: str | None, said: str):
    with pytest.raises(UsageError, match=said):
        choose(CARD, lanes, baseline)


def test_the_usual_design_and_the_quick_one():
    chosen = choose(CARD, None, None)
    usual, quick = draw_up(CARD, chosen), draw_up(CARD, chosen, quick=True)
    assert (usual.pairs, usual.duration_s, usual.warmup_s) == (20, 10.0, 2.0)
    assert (quick.pairs, quick.duration_s, quick.warmup_s) == (6, 3.0, 1.0)
    assert (usual.baseline, usual.arms) == ("reactive", ("threads",))
    assert usual.parameters == {"payment_ms": 20.0}


def test_what_is_given_counts_more_than_quick():
    design = draw_up(CARD, choose(CARD, None, None), quick=True, pairs=10, duration_s=2, warmup_s=0)
    assert (design.pairs, design.duration_s, design.warmup_s) == (10, 2.0, 0.0)


@pytest.mark.parametrize(
    ("pairs", "looks"),
    [
        (6, (6,)),
        (10, (10,)),
        (20, (10, 20)),
        (25, (10, 25)),
        (40, (10, 20, 40)),
        (60, (10, 20, 40, 60)),
    ],
)
def test_the_looks_are_fixed_before_the_first_pair(pairs: int, looks: tuple[int, ...]):
    assert draw_up(CARD, choose(CARD, None, None), pairs=pairs).looks == looks


def test_a_seed_is_drawn_where_none_is_given():
    chosen = choose(CARD, None, None)
    assert draw_up(CARD, chosen).seed != draw_up(CARD, chosen).seed
    assert draw_up(CARD, chosen, seed=0).seed == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rate": -1.0}, "rate=-1"),
        ({"rate": 0.0}, "rate=0"),
        ({"rate": math.nan}, "rate=nan"),
        ({"rate": math.inf}, "rate=inf"),
        ({"duration_s": 0.0}, "duration_s=0"),
        ({"warmup_s": -0.1}, r"warmup_s=-0\.1"),
        ({"pairs": 0}, "pairs=0 is out of range; give 1 or more, and at least 6"),
        ({"seed": -1}, "seed=-1"),
        ({"parameters": {"payment_ms": 5_000.0}}, "payment_ms"),
        ({"parameters": {"paymentms": 5.0}}, "paymentms"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(values: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        draw_up(CARD, choose(CARD, None, None), **values)


def test_the_command_says_everything_that_was_decided():
    lanes = ["threads", "mine=run me --port {port}"]
    design = draw_up(CARD, choose(CARD, lanes, None), rate=200, seed=7, quick=True)
    line = command(design, lanes, quick=True)
    words = shlex.split(line)
    assert words[:3] == ["labcore", "compare", "shop"]
    assert words[words.index("--lanes") + 1] == ",".join(lanes)
    options = {"--baseline": "reactive", "--rate": "200", "--duration": "3", "--pairs": "6"}
    for option, value in (options | {"--seed": "7", "--set": "payment_ms=20.0"}).items():
        assert words[words.index(option) + 1] == value
    assert "--quick" in words


def test_what_the_command_line_cannot_say_is_said_in_python():
    design = draw_up(CARD, choose(CARD, None, None), warmup_s=3, seed=7)
    words = shlex.split(python_call(design, None, control=False, repeats=1))
    assert words[:2] == ["python", "-c"]
    compile(words[2], "command", "exec")
    assert words[2].startswith("from labcore.measure import compare; compare('shop', ")
    for argument in ("control=False", "warmup_s=3.0", "repeats=1", "seed=7"):
        assert argument in words[2]
