"""The `labcore` command: its verbs, and the one place where an error becomes an exit code.

Exit codes: 0 done, 1 the run failed, 2 bad input, 130 interrupted with what was measured kept.
Verbs import what they need when they run, so that `labcore --help` stays quick.
"""

import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from labcore.cli import (
    adr,
    bench,
    capacity,
    compare,
    conform,
    crossover,
    doctor,
    export,
    lab,
    practise,
    report,
    serve,
    sweep,
)
from labcore.kernel import LabError

app = typer.Typer(
    name="labcore",
    help="Run one service under several concurrency models, measure honestly, decide with evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("compare")(compare.compare)
app.command("capacity")(capacity.capacity)
app.command("crossover")(crossover.crossover)
app.command("sweep")(sweep.sweep)
app.command("serve")(serve.serve)
app.command("conform")(conform.conform)
app.command("report")(report.report)
app.command("adr")(adr.adr)
app.command("export")(export.export)
app.command("doctor")(doctor.doctor)
app.command("bench")(bench.bench)
app.command("lab")(lab.lab)
app.add_typer(practise.practise, name="practise")


def main() -> NoReturn:
    """Run the command line and exit with its code; no traceback reaches the user."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as exc:
        _show_usage(exc)
        sys.exit(2)
    except LabError as exc:
        sys.stderr.write(f"labcore: {exc}\n")
        sys.exit(exc.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("labcore: interrupted\n")
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _show_usage(error: typer.TyperException) -> None:
    show = getattr(error, "show", None)  # typer keeps the class that has it private
    if show is None:
        sys.stderr.write(f"labcore: {error}\n")
    else:
        show()


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM takes the same orderly way out as Ctrl-C, so that no child stays behind."""
    raise KeyboardInterrupt
