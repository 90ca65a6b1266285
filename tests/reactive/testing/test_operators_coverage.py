"""Every public operator of the library appears in a StepVerifier script."""

import re
from pathlib import Path

import pytest

from labcore.reactive import Flux, Mono
from labcore.reactive.operators.connectable import ConnectableFlux

SCRIPTS = sorted(Path(__file__).parent.glob("test_operators_*.py"))
# Doors out of a stream and parts of the machinery: nothing a verifier could subscribe to.
NO_OPERATORS = {
    "block",
    "block_last",
    "connect",
    "feed",
    "for_each",
    "fusion",
    "label",
    "like",
    "scalar",
    "stream",
    "subscribe",
    "to_async_iterable",
}


@pytest.mark.parametrize("kind", [Flux, Mono, ConnectableFlux])
def test_every_operator_has_a_script(kind: type):
    text = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    called = set(re.findall(r"\.(\w+)\(", text)) | set(re.findall(r"(?:Flux|Mono)\.(\w+)\b", text))
    public = {name for name in dir(kind) if not name.startswith("_")}
    assert public - NO_OPERATORS - called == set()
