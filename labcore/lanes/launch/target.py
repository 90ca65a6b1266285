"""Names of functions that cross a process boundary: `module:function`."""

import importlib
from collections.abc import Callable
from typing import Any

from labcore.kernel import UsageError


def load_target(target: str) -> Callable[..., Any]:
    """The function named `module:function`. Raises: UsageError when there is none."""
    module_name, _, function_name = target.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ModuleNotFoundError, AttributeError, ValueError) as exc:
        raise UsageError(f"cannot load {target!r} as module:function: {exc}") from exc
    if not callable(function):
        raise UsageError(f"{target!r} is a {type(function).__name__}, not a function")
    return function  # type: ignore[no-any-return]  # a name looked up at run time has no type
