"""The live page: a few static files under a policy that lets the browser talk to this service alone.

The files are read once and served from memory by their exact names, so a request touches no disk and
no path can lead outside the folder. What the page does is written in its modules.

Source: W3C, "Content Security Policy Level 3"; "Trusted Types".
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FOLDER: Final = Path(__file__).with_name("page")
INDEX: Final = "index.html"
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",  # its WebSockets too: the scheme follows the page's
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes() -> list[BaseRoute]:
    """`GET /`, the page, and `GET /page/<name>`, a route for each of its files."""
    served = {f"/page/{path.name}": path for path in sorted(FOLDER.iterdir())}
    served["/"] = served.pop(f"/page/{INDEX}")
    return [Route(path, _answering(file), methods=["GET"]) for path, file in served.items()]


def _answering(file: Path) -> Callable[[Request], Awaitable[Response]]:
    body = file.read_bytes()
    media_type = MEDIA_TYPES[file.suffix]

    async def answer(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        return Response(body, headers=HEADERS, media_type=media_type)

    return answer
