"""The live page in Chromium: both streams, a server that is killed, and readers who need more than eyes."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from labcore.cli.bench.delivering import CuttingProxy, cutting
from labcore.lanes import DatabaseServer, Deployment, Stage
from labcore.stores import event_log
from tests.cli.bench.tiny_inventory import SCENARIO

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STREAMS = ("sse", "websocket")
PATIENCE_MS = 15_000
CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const found = channels(getComputedStyle(element).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  let looked = 0;
  for (const element of document.querySelectorAll("body *")) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!says || !element.checkVisibility() || element.closest(".unseen, .skip, noscript")) continue;
    looked += 1;
    const [one, other] = [channels(getComputedStyle(element).color), ground(element)].map(light);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName} ${element.textContent.trim()} ${ratio.toFixed(2)}`);
  }
  return [looked, poor];
}"""
FOCUSED = """() => {
  const element = document.activeElement;
  return (element.labels?.[0] ?? element).textContent.trim() || element.getAttribute("aria-labelledby");
}"""


@dataclass
class Live:
    """A running service behind an address that stays, and a browser."""

    browser: Browser
    deployed: Deployment
    proxy: CuttingProxy
    published: int = 0
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def publish(self, count: int) -> None:
        """So many changes of the first product in its warehouse, each by one piece."""
        async with self._client() as client:
            first = await _first(client)
            change = {"warehouse": first["warehouse"], "delta": 1}
            for _ in range(count):
                answer = await client.post(f"/stock/{first['sku']}/changes", json=change)
                answer.raise_for_status()
        self.published += count

    async def quantity(self) -> str:
        """Of the first product."""
        async with self._client() as client:
            return str((await _first(client))["quantity"])

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(trust_env=False, base_url=self.deployed.url) as client:
            wish = {"subject": "test", "scope": ["stock:*"], "ttl_s": 60}
            token = (await client.post("/tokens", json=wish)).json()["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield client

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """The page with its warehouses listed; what it asks for and complains of is noted."""
        context = await self.browser.new_context()
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda socket: self.asked.append(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))
        await page.goto(self.proxy.url)
        await expect(page.get_by_role("button", name="Connect", exact=True)).to_be_enabled()
        yield page
        await context.close()

    def _note(self, kind: str, text: str) -> None:
        expected = ("net::ERR_", "WebSocket connection", "the server responded with a status of 40")
        if kind == "error" and not any(part in text for part in expected):
            self.complaints.append(text)


async def _first(client: httpx.AsyncClient) -> dict[str, Any]:
    first: dict[str, Any] = (await client.get("/stock")).json()["stock"][0]
    return first


@pytest.fixture(scope="module")
async def live(database_server: DatabaseServer) -> AsyncIterator[Live]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "the browser tests need Chromium: apt-get install chromium"
    expect.set_options(timeout=PATIENCE_MS)
    with (
        Stage(SCENARIO, {}, server=database_server) as stage,
        stage.deploy("structured") as deployed,
    ):
        async with cutting(mean_bytes=0, seed=1) as proxy, async_playwright() as playwright:
            proxy.target(deployed.url)
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            yield Live(browser, deployed, proxy)
            await browser.close()


async def connect(page: Page) -> None:
    await page.get_by_role("button", name="Connect", exact=True).click()
    await opened(page)


async def opened(page: Page) -> None:
    for stream in STREAMS:
        await expect(figure(page, stream, "state")).to_have_text("open")


def figure(page: Page, stream: str, name: str):
    return page.locator(f"#{stream} [data-figure={name}]")


async def test_both_streams_bring_every_change(live: Live):
    async with live.page() as page:
        await connect(page)
        before = live.published
        await live.publish(5)
        for stream in STREAMS:
            await expect(figure(page, stream, "events")).to_have_text("5")
            await expect(figure(page, stream, "last-id")).to_have_text(str(before + 5))
        row = page.locator("#rows tr").first
        cells = await row.locator("td").all_inner_texts()
        assert cells[1] == cells[2] != ""  # what either stream told
        assert cells[3:] == ["+1", str(live.published)]


async def test_a_killed_server_costs_a_reconnection_and_nothing_else(live: Live):
    async with live.page() as page:
        await connect(page)
        await live.publish(2)
        await expect(figure(page, "sse", "events")).to_have_text("2")
        await asyncio.to_thread(live.deployed.restart)  # the page still looks for the dead one
        for stream in STREAMS:
            await expect(figure(page, stream, "state")).to_have_attribute("data-state", "waiting")
        await live.publish(3)
        live.proxy.target(live.deployed.url)
        await opened(page)
        for stream in STREAMS:
            await expect(figure(page, stream, "events")).to_have_text("5")
            await expect(figure(page, stream, "last-id")).to_have_text(str(live.published))
            await expect(figure(page, stream, "repeated")).to_have_text("0")
            await expect(figure(page, stream, "gaps")).to_have_text("0")
            await expect(figure(page, stream, "reconnects")).not_to_have_text("0")


async def test_lost_history_is_said_and_the_stock_read_anew(live: Live):
    async with live.page() as page:
        await connect(page)
        await live.publish(2)
        for stream in STREAMS:
            await expect(figure(page, stream, "events")).to_have_text("2")
        await asyncio.to_thread(live.deployed.restart)
        await live.publish(3)
        await asyncio.to_thread(forget_all_but_one, live.deployed)
        live.proxy.target(live.deployed.url)
        await opened(page)
        for stream in STREAMS:
            await expect(figure(page, stream, "gaps")).to_have_text("1")
            await expect(figure(page, stream, "last-id")).to_have_text(str(live.published))
        cells = await page.locator("#rows tr").first.locator("td").all_inner_texts()
        assert cells[1] == cells[2] == await live.quantity()


def forget_all_but_one(deployed: Deployment) -> None:
    """What retention does to the log."""
    url = deployed.site().database_url
    assert url is not None
    with psycopg.connect(url) as connection:
        connection.execute(event_log.RETAIN, {"stream": "stock", "keep": 1})


async def test_a_cut_stream_is_said_to_wait_and_comes_back(live: Live):
    async with live.page() as page:
        await connect(page)
        for stream in STREAMS:
            seen = page.evaluate(
                """([stream]) => new Promise((done) => {
                  const cell = document.querySelector(`#${stream} [data-figure=state]`), states = [];
                  new MutationObserver(() => {
                    states.push(cell.dataset.state);
                    if (cell.dataset.state === "open") done(states);
                  }).observe(cell, { attributes: true, attributeFilter: ["data-state"] });
                  cell.closest("section").querySelector("button").click();
                })""",
                [stream],
            )
            assert await seen == ["waiting", "connecting", "open"]
            await expect(figure(page, stream, "reconnects")).to_have_text("1")
        await page.get_by_role("button", name="Disconnect").click()
        for stream in STREAMS:
            await expect(figure(page, stream, "state")).to_have_text("not connected")


async def test_a_token_that_ended_is_minted_anew(live: Live):
    async with live.page() as page:
        await page.route("**/tickets", lambda route: route.fulfill(status=401), times=1)
        await connect(page)


async def test_a_refusal_ends_the_streams_and_is_said(live: Live):
    async with live.page() as page:
        await page.route("**/tickets", lambda route: route.fulfill(status=403))
        await page.get_by_role("button", name="Connect", exact=True).click()
        for stream in STREAMS:
            await expect(figure(page, stream, "state")).to_have_text(
                "ended (/tickets answered 403)"
            )


async def test_only_the_chosen_warehouses_are_asked_for(live: Live):
    async with live.page() as page:
        boxes = page.locator("#warehouses").get_by_role("checkbox")
        for box in (await boxes.all())[1:]:
            await box.uncheck()
        await connect(page)
        chosen = await boxes.first.get_attribute("value")
        shown = await page.locator("#rows td:nth-child(2)").all_inner_texts()
        assert set(shown) == {chosen}
        await boxes.first.uncheck()
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.get_by_role("alert")).to_have_text("Choose at least one warehouse.")


async def test_the_page_talks_to_its_service_alone_and_keeps_its_policy(live: Live):
    live.asked.clear()
    async with live.page() as page:
        await connect(page)
    address = live.proxy.url.removeprefix("http://")
    assert {url.split("/")[2] for url in live.asked} == {address}
    assert any(url.startswith("ws://") for url in live.asked)
    assert not any("Bearer" in url or "token=" in url for url in live.asked)
    assert live.complaints == []
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(live.proxy.url)
    assert answer.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'self'"
    )


async def test_every_text_stands_out_from_its_ground(live: Live):
    async with live.page() as page:
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            for states in (("idle", "open"), ("connecting", "waiting"), ("ended", "ended")):
                for stream, state in zip(STREAMS, states, strict=True):
                    await figure(page, stream, "state").evaluate(
                        "(cell, state) => (cell.dataset.state = state)", state
                    )
                looked, poor = await page.evaluate(CONTRAST)
                assert looked > 30
                assert poor == [], scheme


async def test_it_reflows_on_a_narrow_screen(live: Live):
    async with live.page() as page:
        await connect(page)
        await page.set_viewport_size({"width": 320, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320


async def test_it_is_worked_by_keyboard_in_the_order_it_is_read(live: Live):
    async with live.page() as page:
        met = []
        for _ in range(14):
            await page.keyboard.press("Tab")
            met.append(await page.evaluate(FOCUSED))
            if met[-1] == "Connect":
                break
        warehouses = await page.locator("#warehouses label").all_inner_texts()
        assert met[0] == "Skip to the stock"
        assert [text.strip() for text in warehouses] == met[1 : len(warehouses) + 1]
        assert met[len(warehouses) + 1 :] == [
            "When this page falls behind",
            "Announce changes to screen readers",
            "Connect",
        ]
        await page.keyboard.press("Enter")
        await opened(page)
        await page.keyboard.press("Tab")
        assert await page.evaluate(FOCUSED) == "Disconnect"


async def test_every_control_has_a_name_and_every_column_a_head(live: Live):
    async with live.page() as page:
        nameless = await page.evaluate(
            """() => [...document.querySelectorAll("input, select, button")]
              .filter((each) => !(each.labels?.length || each.textContent.trim())).length"""
        )
        assert nameless == 0
        assert await page.locator("th[scope=col]").count() == 6
        assert await page.locator("h1").count() == 1
        await expect(page.get_by_role("region", name="Server-sent events")).to_be_visible()
        await expect(page.get_by_role("table")).to_be_visible()


async def test_announcements_come_one_a_second_and_the_latest_wins(live: Live):
    async with live.page() as page:
        await page.clock.install(time=0)
        await page.clock.pause_at(60_000)
        await page.evaluate(
            """async () => {
              const { Announcer } = await import("/page/announcer.js");
              const region = document.body.appendChild(document.createElement("p"));
              region.id = "said";
              window.announcer = new Announcer(region);
              for (let number = 0; number < 50; number++) window.announcer.say("changes", `${number}`);
            }"""
        )
        said = page.locator("#said")
        await expect(said).to_have_text("0")
        await page.clock.run_for(900)
        await expect(said).to_have_text("0")
        await page.clock.run_for(200)
        await expect(said).to_have_text("49")


async def test_changes_are_announced_to_those_who_ask(live: Live):
    async with live.page() as page:
        await page.get_by_role("checkbox", name="Announce changes").check()
        await connect(page)
        await live.publish(1)
        status = page.get_by_role("status")
        await expect(status).to_contain_text("1 changes, last")
        assert await status.get_attribute("aria-live") == "polite"


async def test_a_change_flashes_unless_motion_is_unwanted(live: Live):
    async with live.page() as page:
        await connect(page)
        for reduced, animation in ((False, "changed"), (True, "none")):
            await page.emulate_media(reduced_motion="reduce" if reduced else "no-preference")
            await expect(page.locator("tr.changed")).to_have_count(0)
            flashed = page.evaluate(
                """() => new Promise((done) => new MutationObserver((_, observer) => {
                  const row = document.querySelector("tr.changed");
                  if (row) (observer.disconnect(), done(getComputedStyle(row).animationName));
                }).observe(document.getElementById("rows"), { subtree: true, attributes: true }))"""
            )
            found, _ = await asyncio.gather(flashed, live.publish(1))
            assert found == animation
