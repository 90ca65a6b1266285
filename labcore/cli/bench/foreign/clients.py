"""Which strangers there are, and how each is started."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from labcore.kernel import EnvironmentFault

HERE: Final = Path(__file__).parent
NPM_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Client:
    """A stranger. `node` says that it is a package of npm and not of Python."""

    name: str
    protocol: Literal["sse", "websocket"]
    node: bool = False

    def command(self) -> list[str]:
        """Starts it; what it is to do comes by standard input, so that no token stands in a command."""
        if self.node:
            return ["node", str(HERE / "listen.mjs")]
        return [sys.executable, str(HERE / "listen.py")]


PYTHON: Final = (
    Client("httpx-sse", "sse"),
    Client("launchdarkly-eventsource", "sse"),
    Client("websockets", "websocket"),
    Client("websocket-client", "websocket"),
    Client("aiohttp", "websocket"),
)
NODE: Final = (Client("eventsource", "sse", node=True), Client("ws", "websocket", node=True))


def npm_installed(folder: Path) -> Path:
    """Install the strangers of npm into a folder; returns where the packages lie.

    Raises: EnvironmentFault without node and npm, or when npm fails.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise EnvironmentFault("the strangers of npm need node and npm on the path")
    command = [npm, "install", "--silent", "--prefix", str(folder)]
    names = [client.name for client in NODE]
    try:
        subprocess.run([*command, *names], check=True, capture_output=True, timeout=NPM_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as exc:
        raise EnvironmentFault(f"npm could not install {', '.join(names)}: {exc}") from exc
    return folder / "node_modules"
