"""Where the load goes: a URL resolved once, and requests turned to bytes before the clock starts."""

import socket
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Request

HTTP_PORT: Final = 80
# An answer to HEAD announces a body that never comes, and CONNECT turns into another protocol; the
# parser cannot be told which request it reads the answer of.
UNMEASURABLE: Final = frozenset({"HEAD", "CONNECT"})
WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
OURS: Final = frozenset({"host", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Target:
    """A plain HTTP server: the resolved address and what every request to it has in common."""

    url: str
    family: int
    address: tuple[Any, ...]  # what `socket.connect` takes; its shape depends on the family
    host: str
    prefix: str

    @classmethod
    def resolve(cls, url: str) -> "Target":
        """Look the host up once, so that no name is resolved while the load runs. Blocks.

        Raises: UsageError for a URL that is not `http://host[:port][/path]`; PeerError for a host
            that no name server knows.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or HTTP_PORT
        except ValueError as exc:
            raise UsageError(f"{url!r} is not a URL: {exc}; give http://host:port") from exc
        if parts.scheme != "http" or not host or parts.query or parts.fragment:
            raise UsageError(f"{url!r} cannot be loaded; give http://host:port, optionally a path")
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except OSError as exc:
            raise PeerError(f"no address for {host!r}: {exc}") from exc
        return cls(
            url, int(family), address, parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        )

    def encode(self, request: Request) -> bytes:
        """The bytes of one request, `Host` and `Content-Length` added.

        Raises: UsageError for HEAD and CONNECT, a path without its slash, a line break or blank that
            would split the request, or a header that is the driver's to set.
        """
        if request.method.upper() in UNMEASURABLE or not request.method.isalpha():
            raise UsageError(f"method {request.method!r} cannot be measured; use GET, POST, …")
        if not request.path.startswith("/") or not _is_visible(request.path):
            raise UsageError(f"path {request.path!r}; give an encoded path that begins with /")
        lines = [f"{request.method} {self.prefix}{request.path} HTTP/1.1", f"Host: {self.host}"]
        for name, value in request.headers:
            if name.lower() in OURS or not _is_visible(name) or not _is_one_line(value):
                raise UsageError(
                    f"header {name!r}: {value!r} cannot be sent; the driver sets framing"
                )
            lines.append(f"{name}: {value}")
        if request.body or request.method in WITH_BODY:
            lines.append(f"Content-Length: {len(request.body)}")
        return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + request.body


def _is_visible(text: str) -> bool:
    return bool(text) and all("!" <= character <= "~" for character in text)


def _is_one_line(text: str) -> bool:
    return all(character == "\t" or " " <= character <= "ÿ" for character in text)
