"""Work counted in rounds, so that `a tenth more` is exact and no clock is asked."""

from collections.abc import Mapping
from fractions import Fraction
from hashlib import blake2b
from typing import Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from labcore.kernel import UsageError
from labcore.lanes import Service, ServiceSetting, Site

EXTRA_SHARE: Final[Mapping[str, Fraction]] = {
    "exact": Fraction(0),
    "tenth": Fraction(1, 10),
    "hundredth": Fraction(1, 100),
}


def rounds_of(lane: str, work_rounds: int) -> int:
    """How many rounds a request costs in a lane. Raises: UsageError for an unknown lane."""
    if lane not in EXTRA_SHARE:
        raise UsageError(f"no lane {lane!r}; there are: {', '.join(EXTRA_SHARE)}")
    return round(work_rounds * (1 + EXTRA_SHARE[lane]))


def work(rounds: int) -> str:
    """That many rounds of a hash, each over the last: none can be left out."""
    digest = b""
    for _ in range(rounds):
        digest = blake2b(digest).digest()
    return digest.hex()


def build(setting: ServiceSetting) -> Service:
    """The service of a lane."""
    rounds = rounds_of(setting.lane, int(setting.parameters["work_rounds"]))

    async def answer(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        return Response(work(rounds), media_type="text/plain")

    return Service(Starlette(routes=[Route("/", answer)]))


def answers_at_all(site: Site) -> None:
    """`GET /` answers 200 with a digest."""
    reply = httpx.get(site.url)
    assert reply.status_code == 200, f"expected 200, got {reply.status_code}"
    assert len(reply.text) == 128, f"expected a digest of 128 digits, got {reply.text!r}"


def is_deterministic(site: Site) -> None:
    """The same work gives the same digest."""
    first, second = httpx.get(site.url).text, httpx.get(site.url).text
    assert first == second, f"two answers differ: {first!r} and {second!r}"
