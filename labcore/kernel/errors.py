"""The one error tree of the workbench.

    LabError
    ├── UsageError (also a ValueError)   the caller asked for something that cannot be
    ├── PeerError                        the other side misbehaved
    ├── RefusedError                     a policy said no: breaker open, bulkhead full, limited, timed out
    ├── VoidRunError                     the measurement proves nothing
    ├── InterruptedRunError              somebody cancelled; what was measured is kept
    └── EnvironmentFault                 port, database, kernel, missing program

A message says what was wrong, the value, and what would be right. The command line prints it as one
line: exit code 2 for `UsageError` and `EnvironmentFault`, 130 for `InterruptedRunError`, else 1.
"""


class LabError(Exception):
    """Root of every error raised on purpose by the workbench."""

    exit_code = 1


class UsageError(LabError, ValueError):
    """The caller's fault: an unknown name, a value out of range, an occupied directory."""

    exit_code = 2


class PeerError(LabError):
    """The other side misbehaved: a reply outside the contract, a child that died."""


class RefusedError(LabError):
    """A policy said no: breaker open, bulkhead full, rate limited, time limit passed."""


class VoidRunError(LabError):
    """The measurement proves nothing, and why."""


class InterruptedRunError(LabError):
    """Somebody cancelled; what was measured so far is kept."""

    exit_code = 130


class EnvironmentFault(LabError):  # noqa: N818 - a fault of the machine, not of anybody's code
    """The machine could not give what was needed: a port, a database, a program."""

    exit_code = 2
