"""How the page's files are served: each by its name, each under the policy, nothing else."""

import re

import httpx
from starlette.applications import Starlette

from servers.inventory_service.live_page import FOLDER, HEADERS, routes


async def answer(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
        return await client.get(path)


async def test_the_page_is_the_root_and_carries_its_policy():
    found = await answer("/")
    assert found.text == (FOLDER / "index.html").read_text()
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert {name: found.headers[name] for name in HEADERS} == dict(HEADERS)


async def test_every_file_that_the_page_names_is_served_as_what_it_is():
    for path in FOLDER.iterdir():
        if path.name != "index.html":
            found = await answer(f"/page/{path.name}")
            assert found.content == path.read_bytes()
            expected = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
            assert found.headers["content-type"].startswith(expected[path.suffix])


async def test_nothing_else_is_served():
    for path in ("/page/", "/page/index.html", "/page/../live_page.py", "/page/%2e%2e/contract.py"):
        assert (await answer(path)).status_code == 404


def test_no_file_names_another_place():
    for path in FOLDER.iterdir():
        addresses = re.findall(r"\w+://[^\s\"'`]+", path.read_text())
        assert [each for each in addresses if each != "http://www.w3.org/2000/svg"] == []
