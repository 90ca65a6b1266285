"""A learner's story: move a slider, press Run, watch the lanes, press Cancel, restart, all is gone."""

import json
import re
import threading
from collections.abc import Callable

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]
CHAPTER = "01_reactive_checkout.ipynb"


def open_chapter(page: Page, lab: Lab) -> Locator:
    page.goto(lab.page_of(CHAPTER))
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    idle = notebook.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    expect(idle).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name=re.compile(r"\| Idle$"))).to_be_visible(timeout=60_000)
    return notebook


def run_until_the_panel(page: Page, lab: Lab, notebook: Locator) -> Locator:
    cells = json.loads((lab.folder / CHAPTER).read_text(encoding="utf-8"))["cells"]
    notebook.locator(".jp-Cell").first.click()
    page.keyboard.press("Escape")
    for _ in range([cell["id"] for cell in cells].index("panel") + 1):
        page.keyboard.press("Shift+Enter")
    expect(button(notebook, "Run")).to_be_visible(timeout=60_000)
    return notebook


def button(panel: Locator, text: str) -> Locator:
    return panel.locator("button.widget-button").filter(has_text=text)


def set_slider(panel: Locator, label: str, value: str) -> None:
    readout = panel.locator(".widget-slider").filter(has_text=label).locator(".widget-readout")
    readout.click()
    readout.fill(value)
    readout.press("Enter")
    expect(readout).to_have_text(re.compile(rf"^{value}(\.0+)?$"))


def children_of_kernels(lab: Lab) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if "labcore.lanes.launch.child" in " ".join(process.info["cmdline"] or [])
        and process.info["cwd"] == str(lab.folder)
    ]


def until(holds: Callable[[], bool], timeout_s: float = 30) -> bool:
    pause = threading.Event()
    for _ in range(int(timeout_s * 10)):
        if holds():
            return True
        pause.wait(0.1)
    return False


def test_a_learner_runs_watches_cancels_and_leaves_nothing_behind(page: Page, lab: Lab):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    notebook = open_chapter(page, lab)
    panel = run_until_the_panel(page, lab, notebook)

    set_slider(panel, "payment", "35")
    set_slider(panel, "duration", "60")
    button(panel, "Run").click()
    expect(panel.locator("[role=status]").first).to_contain_text("running", timeout=30_000)
    latency = panel.locator(".labcore-live").first
    expect(latency.locator("figcaption")).to_contain_text("Now, ms: ", timeout=60_000)
    seen = latency.locator("figcaption").inner_text()
    expect(latency.locator("figcaption")).not_to_have_text(seen, timeout=15_000)
    page.screenshot(path=str(lab.folder / "running.png"))

    button(panel, "Cancel").click()
    expect(panel.locator("[role=status]").first).to_contain_text("cancelled", timeout=30_000)
    assert until(lambda: not children_of_kernels(lab))

    for lane in ("threads", "virtual"):
        panel.get_by_role("checkbox", name=lane).uncheck()
    set_slider(panel, "duration", "1")
    button(panel, "Run").click()
    expect(panel.locator("[role=status]").first).to_contain_text("done", timeout=60_000)
    expect(panel.locator("table").filter(has_text="CPU a request")).to_contain_text("reactive")

    set_slider(panel, "duration", "60")
    button(panel, "Run").click()
    assert until(lambda: bool(children_of_kernels(lab)))
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    assert until(lambda: not children_of_kernels(lab)), "a server outlived its kernel"
    idle = page.get_by_role("button", name=re.compile(r"\| Idle$"))
    expect(idle).to_be_visible(timeout=60_000)  # the new kernel is up, so nothing is in mid-air
    assert errors == []
