"""What the field rule must do, one law for each clause of the standard."""

from labcore.learn.law import Answer, Stage, law


def tell(answer: Answer, stage: Stage, line: str, expected: tuple[str, str] | None) -> None:
    """One line, and what it means."""
    found = answer(line)
    stage.expect(
        found == expected,
        expected=f"{expected!r} for {line!r}",
        actual=f"{found!r:.60} for {line!r}",
    )


@law("a line is name, colon, value")
def plain(answer: Answer, stage: Stage) -> None:
    """The common case."""
    tell(answer, stage, "event: departure", ("event", "departure"))
    tell(answer, stage, "id:17", ("id", "17"))


@law("the first colon ends the name, the others belong to the value")
def first_colon(answer: Answer, stage: Stage) -> None:
    """JSON is full of them."""
    tell(answer, stage, 'data: {"at": "12:05"}', ("data", '{"at": "12:05"}'))


@law("one leading space goes, and no more")
def one_space(answer: Answer, stage: Stage) -> None:
    """Indented text stays indented."""
    tell(answer, stage, "data:   three", ("data", "  three"))
    tell(answer, stage, "data: end ", ("data", "end "))


@law("a line without a colon is a name with an empty value")
def no_colon(answer: Answer, stage: Stage) -> None:
    """`data` alone is an empty line of data."""
    tell(answer, stage, "data", ("data", ""))


@law("a line that begins with a colon is a comment")
def comment(answer: Answer, stage: Stage) -> None:
    """A heartbeat, for nobody's eyes."""
    tell(answer, stage, ": still here", None)
    tell(answer, stage, ":", None)
