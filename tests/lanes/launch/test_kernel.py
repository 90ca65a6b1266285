"""What the buttons of a notebook do to a server that one of its cells started: real kernels."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

READY_S = 60.0
CELL = """
from labcore.lanes import Child
child = Child("lab_children:echo", {}, name="cell")
child.start()
print(child.wait_ready(30)["pid"])
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def kernel() -> Iterator[KernelManager]:
    manager = KernelManager(kernel_name="python3", transport="ipc")
    manager.start_kernel()
    yield manager
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


@pytest.fixture
def client(kernel: KernelManager) -> Iterator[Any]:
    client = kernel.client()
    client.start_channels()
    client.wait_for_ready(timeout=READY_S)
    yield client
    client.stop_channels()


def printed(client: Any, code: str) -> str:
    """What a cell prints."""
    lines: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            lines.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=READY_S, output_hook=hook)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(lines).strip()


def test_interrupt_spares_the_child(kernel: KernelManager, client: Any):
    child = int(printed(client, CELL))
    request = client.execute("import threading; print('in'); threading.Event().wait()")
    while client.get_iopub_msg(timeout=READY_S)["msg_type"] != "stream":
        pass
    kernel.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=READY_S))["parent_header"]["msg_id"] != request:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert printed(client, "print(child.alive)") == "True"
    os.kill(child, 0)


@pytest.mark.parametrize("event", ["restart", "shutdown", "now"])
def test_the_child_ends_with_the_kernel(
    kernel: KernelManager, client: Any, gone: Callable[[int], None], event: str
):
    child = int(printed(client, CELL))
    if event == "restart":
        kernel.restart_kernel()
    else:
        kernel.shutdown_kernel(now=event == "now")
    gone(child)
