"""Options of `labcore bench` that only some benchmarks have."""

import pytest
import typer
from typer.testing import CliRunner

from labcore.cli.bench import bench, benchmarks
from labcore.kernel import UsageError


def test_names_are_written_with_dashes():
    assert "history" in benchmarks()
    assert not any("_" in name for name in benchmarks())


def test_an_option_that_a_benchmark_lacks_is_refused():
    with pytest.raises(UsageError, match="benchmark 'reactive' has no option --seconds"):
        bench("reactive", quick=True, seconds=3.0)


def test_the_options_are_explained():
    app = typer.Typer()
    app.command()(bench)
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "Only these lanes" in text
