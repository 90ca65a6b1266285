"""Floor 6: one module per verb of the command line."""

from labcore.cli.app import main

__all__ = ["main"]
