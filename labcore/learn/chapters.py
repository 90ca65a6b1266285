"""Running a chapter without a reader: top to bottom in a kernel of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from labcore.kernel import UsageError, VoidRunError

CELL_TIMEOUT_S: Final = 600
_TYPES: Final[Mapping[str, Callable[[Any], Any]]] = {"float": float, "int": int, "str": str}


def run_chapter(
    notebook: str | Path,
    out: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    timeout_s: int = CELL_TIMEOUT_S,
) -> Path:
    """Run a notebook in `out`, and return where it lies with its outputs.

    The kernel is reached by sockets in the file system: no ports, so no two runs can collide.

    Args:
        notebook: the chapter.
        out: an existing directory; the kernel works there.
        parameters: values for the chapter's `parameters` cell.
        timeout_s: the most seconds of one cell.

    Raises:
        UsageError: a parameter that the chapter does not have, or a value of another type.
        VoidRunError: a cell failed, or took too long; the message names it.
    """
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from papermill.exceptions import PapermillExecutionError

    class LocalSockets(AsyncKernelManager):
        def __init__(self, **traits: Any) -> None:
            super().__init__(**traits | {"transport": "ipc"})

    known = papermill.inspect_notebook(str(notebook))
    types = {name: str(facts["inferred_type_name"]) for name, facts in known.items()}
    given = {
        name: _typed(Path(notebook).name, name, value, types)
        for name, value in (parameters or {}).items()
    }
    executed = out / Path(notebook).name
    try:
        papermill.execute_notebook(
            str(notebook),
            str(executed),
            parameters=given,
            kernel_name="python3",
            kernel_manager_class=LocalSockets,
            execution_timeout=timeout_s,
            progress_bar=False,
            cwd=str(out),
        )
    except PapermillExecutionError as exc:
        where = f"cell {exc.exec_count} of {Path(notebook).name}"
        raise VoidRunError(f"{where} failed: {exc.ename}: {exc.evalue}") from exc
    except TimeoutError as exc:
        raise VoidRunError(f"a cell of {Path(notebook).name} took over {timeout_s} s") from exc
    return executed


def _typed(chapter: str, name: str, value: Any, types: Mapping[str, str]) -> Any:
    """The value as the chapter declares it; papermill itself would pass on whatever it is given."""
    if name not in types:
        there = ", ".join(types) or "none"
        raise UsageError(f"{chapter} has no parameter {name!r}; it has: {there}")
    kind = types[name]
    try:
        if kind == "bool" and isinstance(value, str):
            return {"true": True, "false": False}[value.lower()]
        if kind in _TYPES:
            return _TYPES[kind](value)
    except (ValueError, KeyError) as exc:
        raise UsageError(f"{chapter}: {name}={value!r} is no {kind}") from exc
    return value
