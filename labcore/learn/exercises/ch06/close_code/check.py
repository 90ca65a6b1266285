"""What a page must do about each close code."""

from labcore.learn.law import Answer, Stage, law


def tell(answer: Answer, stage: Stage, expected: str, *codes: int) -> None:
    """These codes, this step."""
    found = {code: answer(code) for code in codes}
    wrong = {code: step for code, step in found.items() if step != expected}
    stage.expect(not wrong, expected=f"{expected!r} for {codes}", actual=f"{wrong}")


@law("a goodbye is a goodbye")
def goodbye(answer: Answer, stage: Stage) -> None:
    """1000 alone."""
    tell(answer, stage, "end", 1000)


@law("what cannot go well is not tried again")
def never(answer: Answer, stage: Stage) -> None:
    """The fault is in the request."""
    tell(answer, stage, "never", 1002, 1003, 1007, 1008, 1009, 4003)


@law("an ended token is renewed, not given up")
def token(answer: Answer, stage: Stage) -> None:
    """4001."""
    tell(answer, stage, "token", 4001)


@law("an overloaded server is left in peace for a while")
def later(answer: Answer, stage: Stage) -> None:
    """1013."""
    tell(answer, stage, "later", 1013)


@law("accidents, and a server that leaves, are what coming back is for")
def again(answer: Answer, stage: Stage) -> None:
    """1006 above all."""
    tell(answer, stage, "again", 1001, 1006, 1011, 1012)


@law("an unknown code is an accident")
def unknown(answer: Answer, stage: Stage) -> None:
    """Tomorrow's codes."""
    tell(answer, stage, "again", 1014, 3000, 4999)
