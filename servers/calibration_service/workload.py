"""The same request again and again: nothing but the lane's work may differ."""

from collections.abc import Sequence

from labcore.lanes import Request, Values


class CalibrationWorkload:
    """`GET /`, and 200 is the only right answer."""

    def requests(self, *, seed: int, count: int, parameters: Values) -> Sequence[Request]:  # noqa: ARG002 - every request is the same
        """`count` requests."""
        return [Request("GET", "/")] * count

    def outcome(self, status: int) -> str:
        """`ok` or `failed`."""
        return "ok" if status == 200 else "failed"

    @property
    def answered(self) -> frozenset[str]:
        """Outcomes that are correct answers."""
        return frozenset({"ok"})
