"""Floor 1: virtual threads parked on carriers, platform threads, and the blocking facades.

The same blocking source runs on both kinds of threads: executor and `World` are injected.
"""

from labcore.virtual.database import (
    AsyncDatabase,
    AsyncTransaction,
    Database,
    PlatformDatabase,
    Statements,
    VirtualDatabase,
)
from labcore.virtual.dump import ThreadDump, ThreadNode, dump_virtual_threads
from labcore.virtual.errors import PoolExhaustedError, TimeLimitExceededError, http_errors
from labcore.virtual.executor import (
    BlockingExecutor,
    PlatformThreadExecutor,
    VirtualThreadExecutor,
)
from labcore.virtual.future import VirtualFuture
from labcore.virtual.http import (
    HttpClient,
    HttpReply,
    PlatformHttpClient,
    VirtualHttpClient,
    async_http_client,
    send,
)
from labcore.virtual.pinning import Pin, PinWatch
from labcore.virtual.scope import Policy, StructuredTaskScope
from labcore.virtual.thread import (
    VirtualThread,
    await_,
    carry,
    current_thread,
    sleep,
    start_virtual_thread,
)
from labcore.virtual.tracing import stepped, traced_tasks
from labcore.virtual.world import World, platform_world, virtual_world

__all__ = [
    "AsyncDatabase",
    "AsyncTransaction",
    "BlockingExecutor",
    "Database",
    "HttpClient",
    "HttpReply",
    "Pin",
    "PinWatch",
    "PlatformDatabase",
    "PlatformHttpClient",
    "PlatformThreadExecutor",
    "Policy",
    "PoolExhaustedError",
    "Statements",
    "StructuredTaskScope",
    "ThreadDump",
    "ThreadNode",
    "TimeLimitExceededError",
    "VirtualDatabase",
    "VirtualFuture",
    "VirtualHttpClient",
    "VirtualThread",
    "VirtualThreadExecutor",
    "World",
    "async_http_client",
    "await_",
    "carry",
    "current_thread",
    "dump_virtual_threads",
    "http_errors",
    "platform_world",
    "send",
    "sleep",
    "start_virtual_thread",
    "stepped",
    "traced_tasks",
    "virtual_world",
]
