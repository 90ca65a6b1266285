"""The peers of the load driver: each asks a server as fast, or as punctually, as it can.

A tool that is not installed is `Missing` and says how to get it; nothing is measured in its place.
"""

from labcore.cli.bench.clients.counted import Counted, Missing
from labcore.cli.bench.clients.python import aiohttp, bare, httpx
from labcore.cli.bench.clients.tools import hey, locust, wrk

__all__ = ["Counted", "Missing", "aiohttp", "bare", "hey", "httpx", "locust", "wrk"]
