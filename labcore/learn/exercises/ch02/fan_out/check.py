"""What a fan-out must do, and how often it may encode."""

from labcore.learn.law import Answer, Stage, law


class Encoder:
    """Counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, event: dict[str, int]) -> bytes:
        """Bytes of the event."""
        self.calls += 1
        return str(event).encode()


@law("everybody who has room gets the event")
def delivered(answer: Answer, stage: Stage) -> None:
    """Three, all with room."""
    backlogs: list[list[bytes]] = [[], [b"before"], []]
    full = answer({"id": 1}, backlogs, Encoder(), 2)
    lengths = [len(one) for one in backlogs]
    stage.expect(lengths == [1, 2, 1], expected="lengths [1, 2, 1]", actual=f"lengths {lengths}")
    stage.expect(full == [], expected="nobody full: []", actual=f"{full!r:.60}")


@law("a full backlog stays as it is, and is named")
def bounded(answer: Answer, stage: Stage) -> None:
    """The second of three is full; the third comes after it."""
    backlogs: list[list[bytes]] = [[], [b"a", b"b"], []]
    full = answer({"id": 1}, backlogs, Encoder(), 2)
    lengths = [len(one) for one in backlogs]
    stage.expect(lengths == [1, 2, 1], expected="lengths [1, 2, 1]", actual=f"lengths {lengths}")
    stage.expect(full == [1], expected="number 1 is full: [1]", actual=f"{full!r:.60}")


@law("the event is encoded once, however many they are")
def once(answer: Answer, stage: Stage) -> None:
    """A thousand."""
    encoder = Encoder()
    answer({"id": 1}, [[] for _ in range(1000)], encoder, 2)
    stage.expect(encoder.calls == 1, expected="1 call of encode", actual=f"{encoder.calls} calls")


@law("with nobody there, nothing is encoded")
def nobody(answer: Answer, stage: Stage) -> None:
    """At night."""
    encoder = Encoder()
    full = answer({"id": 1}, [], encoder, 2)
    stage.expect(
        (encoder.calls, full) == (0, []),
        expected="0 calls of encode, and []",
        actual=f"{encoder.calls} calls, and {full!r:.60}",
    )
