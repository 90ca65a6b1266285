"""Clients that know nothing of this project, each a process that prints the ids it hears."""

from labcore.cli.bench.foreign.clients import NODE, PYTHON, Client, npm_installed

__all__ = ["NODE", "PYTHON", "Client", "npm_installed"]
