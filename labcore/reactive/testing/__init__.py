"""Testing reactive code: scripts of expected signals, publishers under control, virtual time."""

from labcore.reactive.testing.virtual_time import OverdueError, StalledError, VirtualTime

__all__ = ["OverdueError", "StalledError", "VirtualTime"]
