"""`labcore lab`: open the book in JupyterLab."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from labcore.kernel import UsageError


def lab(
    folder: Annotated[Path, typer.Argument(help="Folder of the notebooks.")] = Path("notebooks"),
    port: Annotated[int, typer.Option(help="Port of JupyterLab; 0 lets it choose.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the notebooks in JupyterLab, on this machine only (loopback)."""
    if not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is not a folder; give the one that holds the notebooks")
    arguments = [sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}"]
    if not browser:
        arguments.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")
    arguments.append(f"--ServerApp.root_dir={folder.resolve()}")
    os.execv(sys.executable, arguments)  # noqa: S606 - JupyterLab takes this process's place and its signals
