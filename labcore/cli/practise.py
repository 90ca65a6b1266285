"""`labcore practise`: the book's exercises in an editor, with the same checks as in the notebook."""

from pathlib import Path
from typing import Annotated

import typer

from labcore.cli.terminal import print_json
from labcore.kernel import UsageError

practise = typer.Typer(help="Practise: exercises with checks and hints.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of an exercise; `labcore practise list`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@practise.command("list")
def list_exercises(as_json: AsJson = False) -> None:
    """Show every exercise and how far you are."""
    from labcore.learn import progress

    standing = progress()
    if not as_json:
        typer.echo(standing)
        return
    rows = [
        {
            "name": one.name,
            "chapter": one.chapter,
            "title": one.title,
            "state": one.state.value,
            "attempts": one.attempts,
            "hints": one.hints,
        }
        for one in standing.standings
    ]
    print_json({"exercises": rows, "passed": standing.passed})


@practise.command("start")
def start(
    name: Name,
    to: Annotated[Path, typer.Option("--to", help="Folder for the file.")] = Path(),
) -> None:
    """Write the stub of an exercise as NAME.py, with the task on top; nothing is overwritten."""
    from labcore.learn import exercise

    task = exercise(name)
    path = to / f"{task.name}.py"
    if path.exists():
        raise UsageError(f"{path} exists and may be your work; move it, or choose another --to")
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [task.title, *task.statement.splitlines()[1:]]
    text = "".join(f"# {line}".rstrip() + "\n" for line in lines)
    path.write_text(f"{text}\n{task.stub}", encoding="utf-8")
    typer.echo(f"{path}: edit it, then `labcore practise check {path}`")


@practise.command("check")
def check_file(
    file: Annotated[Path, typer.Argument(help="Your file, as `start` wrote it.")],
    name: Annotated[
        str, typer.Option("--exercise", help="Its exercise; default: the file's name.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check a file as the notebook would; exit 1 unless it passes."""
    from labcore.learn import check

    if not file.is_file():
        raise UsageError(f"{str(file)!r} is no file; `labcore practise start NAME` writes one")
    result = check(name or file.stem, file.read_text(encoding="utf-8"))
    if as_json:
        print_json(result.as_json())
    else:
        typer.echo(result)
    raise typer.Exit(0 if result.passed else 1)


@practise.command("hint")
def hint(name: Name) -> None:
    """Give the next hint: three of them, mildest first; asking again goes one grade further."""
    from labcore.learn import next_hint

    typer.echo(next_hint(name))


@practise.command("solution")
def show_solution(name: Name) -> None:
    """Print the worked solution."""
    from labcore.learn import solution

    typer.echo(solution(name).text, nl=False)
