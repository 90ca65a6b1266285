"""A dump of the virtual threads: who there is, who started whom, where each one waits.

Nothing is kept for it while nobody asks: threads are found through the garbage collector, and only
the name of a thread's starter is stored with it. Ask on the carrier for a consistent picture, or from
another thread for one that may be torn, as with any dump of a running program.

Source: `jcmd <pid> Thread.dump_to_file -format=json` (JEP 444), which groups threads by container.
"""

import gc
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import greenlet

from labcore.virtual.thread import VirtualThread

State = Literal["new", "mounted", "sleeping", "waiting", "awaiting"]


@dataclass(slots=True)
class ThreadNode:
    """One virtual thread and those that it started."""

    name: str
    state: State
    stack: tuple[traceback.FrameSummary, ...]  # innermost last; empty while new or mounted
    children: list["ThreadNode"] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The node as JSON values."""
        return {
            "name": self.name,
            "state": self.state,
            "stack": [f"{each.filename}:{each.lineno} {each.name}" for each in self.stack],
            "children": [child.document() for child in self.children],
        }


@dataclass(frozen=True, slots=True)
class ThreadDump:
    """The live virtual threads of this process, those on top that no live thread started."""

    roots: tuple[ThreadNode, ...]

    def __len__(self) -> int:
        return sum(1 for _ in _walk(self.roots))

    def document(self) -> dict[str, Any]:
        """The dump as JSON values."""
        return {"virtual_threads": len(self), "threads": [root.document() for root in self.roots]}

    def __str__(self) -> str:
        count = len(self)
        lines = [f"{count} virtual {'thread' if count == 1 else 'threads'}"]
        for root in self.roots:
            lines += _drawn(root, "", "")
        return "\n".join(lines)


def dump_virtual_threads() -> ThreadDump:
    """Every virtual thread that has not ended, as a tree of who started whom."""
    nodes: dict[tuple[str, int], ThreadNode] = {}
    starters: dict[tuple[str, int], tuple[str, int] | None] = {}
    # Exact types only: `isinstance` would ask proxies of other libraries for their class.
    for found in gc.get_objects():
        if type(found) is VirtualThread and not found.dead:
            nodes[found.identity] = _node(found)
            starters[found.identity] = found.starter
    roots = []
    for identity in sorted(nodes, key=lambda each: each[1]):
        starter = starters[identity]
        if starter is not None and starter in nodes:
            nodes[starter].children.append(nodes[identity])
        else:
            roots.append(nodes[identity])
    return ThreadDump(tuple(roots))


def _node(thread: VirtualThread) -> ThreadNode:
    frame = thread.gr_frame
    stack = () if frame is None else tuple(traceback.extract_stack(frame))
    return ThreadNode(thread.name, _state(thread), stack)


def _state(thread: VirtualThread) -> State:
    if thread is greenlet.getcurrent() or (thread and thread.gr_frame is None):
        return "mounted"
    return thread.waits if thread else "new"


def _walk(nodes: Sequence[ThreadNode]) -> Iterator[ThreadNode]:
    for node in nodes:
        yield node
        yield from _walk(node.children)


def _drawn(node: ThreadNode, first: str, rest: str) -> list[str]:
    where = _where(node.stack)
    lines = [f"{first}{node.name} {node.state}{f' at {where}' if where else ''}"]
    for number, child in enumerate(node.children, start=1):
        last = number == len(node.children)
        branch, below = ("└─ ", "   ") if last else ("├─ ", "│  ")
        lines += _drawn(child, f"{rest}{branch}", f"{rest}{below}")
    return lines


def _where(stack: Sequence[traceback.FrameSummary]) -> str:
    """The innermost line that is not the machinery of parking."""
    for each in reversed(stack):
        if "labcore/virtual/" not in each.filename:
            return f"{each.filename.rpartition('/')[2]}:{each.lineno} {each.name}"
    return ""
