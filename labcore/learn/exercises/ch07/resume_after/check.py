"""What a server must answer to each kind of last id."""

from labcore.learn.law import Answer, Stage, law


def tell(answer: Answer, stage: Stage, shown: str | None, expected: tuple[int, bool]) -> None:
    """A log of 10 to 20, and one who comes back."""
    found = answer(shown, 10, 20)
    stage.expect(
        found == expected,
        expected=f"{expected} for the id {shown!r} and a log of 10 to 20",
        actual=f"{found!r:.60}",
    )


@law("who is owed nothing that is gone, goes on where it broke off")
def goes_on(answer: Answer, stage: Stage) -> None:
    """The reason for all this."""
    tell(answer, stage, "14", (14, False))
    tell(answer, stage, "20", (20, False))


@law("a newcomer gets what happens from now on")
def newcomer(answer: Answer, stage: Stage) -> None:
    """An empty header is none: browsers send no empty one, proxies may."""
    tell(answer, stage, None, (20, False))
    tell(answer, stage, "", (20, False))


@law("what was thrown away is announced")
def announced(answer: Answer, stage: Stage) -> None:
    """3 is not there any more."""
    tell(answer, stage, "3", (9, True))


@law("nothing is announced where nothing is lost, down to the edge")
def edge(answer: Answer, stage: Stage) -> None:
    """Who has seen 9 wants 10, and 10 is there; who has seen 8 wants 9."""
    tell(answer, stage, "9", (9, False))
    tell(answer, stage, "8", (9, True))


@law("an id that this log never gave is a gap")
def foreign(answer: Answer, stage: Stage) -> None:
    """From another log, or from anybody: headers are the client's to write."""
    tell(answer, stage, "21", (9, True))
    tell(answer, stage, "a-word", (9, True))
    tell(answer, stage, "-1", (9, True))
