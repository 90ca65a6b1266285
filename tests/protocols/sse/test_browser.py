"""Chromium's own EventSource is the judge of the cases that judge our decoder."""

import asyncio
import json
import shutil
from typing import Any

import pytest
from playwright.async_api import async_playwright

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(120)]

PAGE = """<!doctype html><title>cases</title><link rel=icon href='data:,'><script>
const names = NAMES;
window.read = path => new Promise(done => {
  const source = new EventSource(path), found = [];
  for (const name of names)
    source.addEventListener(name, event =>
      found.push({event: event.type, data: event.data, id: event.lastEventId}));
  source.onerror = () => { source.close(); done(found); };
});
</script>"""
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nConnection: close\r\n\r\n"


async def test_chromium_agrees_with_every_case(scripted_server: Any, cases: list[dict[str, Any]]):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "the browser tests need Chromium: apt-get install chromium"
    names = sorted({event["event"] for case in cases for event in case["events"]} | {"message"})

    async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
        _, kind, *rest = asked.path.split("/")
        if kind == "":
            page = PAGE.replace("NAMES", json.dumps(names)).encode()
            writer.write(HEAD.format("text/html").encode() + page)
            return
        writer.write(HEAD.format("text/event-stream").encode())
        stream = cases[int(rest[0])]["stream"].encode("latin-1")
        size = len(stream) if kind == "whole" else 1
        for place in range(0, len(stream), max(1, size)):
            writer.write(stream[place : place + max(1, size)])
            await writer.drain()

    async with scripted_server(answer) as server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page()
        await page.goto(f"{server.url}/")
        disagreements = []
        for number, case in enumerate(cases):
            for split in ("whole", "bytes"):
                found = await page.evaluate("read", f"/{split}/{number}")
                if found != case["events"]:
                    disagreements.append((case["name"], split, found, case["events"]))
        await browser.close()
    assert disagreements == []
