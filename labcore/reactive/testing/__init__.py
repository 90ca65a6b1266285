"""Testing reactive code: scripts of expected signals, publishers under control, virtual time.

The names are those of Project Reactor's `reactor-test`, in snake case.
"""

from labcore.reactive.testing.failure import VerificationError
from labcore.reactive.testing.outcome import Outcome
from labcore.reactive.testing.probe import PublisherProbe
from labcore.reactive.testing.publisher import TestPublisher, Violation
from labcore.reactive.testing.script import Script
from labcore.reactive.testing.step_verifier import StepVerifier
from labcore.reactive.testing.verification import LaterVerification, Verification
from labcore.reactive.testing.virtual_time import OverdueError, StalledError, VirtualTime

__all__ = [
    "LaterVerification",
    "Outcome",
    "OverdueError",
    "PublisherProbe",
    "Script",
    "StalledError",
    "StepVerifier",
    "TestPublisher",
    "Verification",
    "VerificationError",
    "Violation",
    "VirtualTime",
]
