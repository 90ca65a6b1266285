"""Context: what travels with a subscription, from the subscriber up to the sources."""

from collections.abc import Iterator, Mapping
from typing import Any

from labcore.kernel import UsageError


class Context(Mapping[Any, Any]):
    """An immutable mapping; `put` and `put_all` give a new one. Reactor: Context.

    It is bound to the subscriber and read upwards: `context_write` changes what everything above it
    sees, and nothing below.
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[Any, Any] | None = None) -> None:
        self._entries = dict(entries or {})

    def __getitem__(self, key: Any) -> Any:
        return self._entries[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Context({self._entries!r})"

    def put(self, key: Any, value: Any) -> "Context":
        """A context with that entry added or replaced."""
        return Context({**self._entries, key: value})

    def put_all(self, entries: Mapping[Any, Any]) -> "Context":
        """A context with those entries added or replaced."""
        return Context({**self._entries, **entries})

    def delete(self, key: Any) -> "Context":
        """A context without that entry. Raises: UsageError when it is not there."""
        if key not in self._entries:
            raise UsageError(f"no {key!r} in the context; it holds {list(self._entries)}")
        return Context({name: value for name, value in self._entries.items() if name != key})


EMPTY = Context()
