"""Every public operator names its Reactor counterpart, draws a marble and shows a line that runs."""

import doctest
import inspect

import pytest

import labcore.reactive
from labcore.reactive import Flux, Mono
from labcore.reactive.dictionary import Row, as_markdown, operators

ROWS = operators()
# Doors out of a stream have no marble; plain parts of a rule or a sink have no line of their own.
STREAMS = [row for row in ROWS if row.labcore.partition(".")[0] in {"Flux", "Mono"}]
DOORS = {"stream", "to_async_iterable", "for_each", "block", "block_last", "subscribe"}


def docstring(row: Row) -> str:
    owner, _, name = row.labcore.partition(".")
    return inspect.getdoc(getattr({"Flux": Flux, "Mono": Mono}[owner], name)) or ""


def test_there_are_as_many_operators_as_reactors_users_expect():
    assert len(STREAMS) > 120


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.labcore)
def test_an_operator_names_its_reactor_counterpart(row: Row):
    assert row.reactor


@pytest.mark.parametrize("row", STREAMS, ids=lambda row: row.labcore)
def test_an_operator_draws_a_marble_and_shows_a_line_that_runs(row: Row):
    text = docstring(row)
    if row.labcore.partition(".")[2] in DOORS:
        return
    assert "--" in text
    examples = doctest.DocTestParser().get_examples(text)
    assert examples
    names = {name: getattr(labcore.reactive, name) for name in labcore.reactive.__all__}
    test = doctest.DocTest(examples, names, row.labcore, None, None, text)
    report: list[str] = []
    assert doctest.DocTestRunner().run(test, out=report.append).failed == 0, "".join(report)


def test_the_table_has_a_line_for_each_operator():
    lines = as_markdown().splitlines()
    assert len(lines) == len(ROWS) + 2
    assert any(line.startswith("| `Flux.flatMap` | `Flux.flat_map` |") for line in lines)
