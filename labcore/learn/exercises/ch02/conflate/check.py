"""What conflation must keep, throw away, and leave in order."""

from labcore.learn.law import Answer, Stage, law


def tell(
    answer: Answer, stage: Stage, backlog: list[tuple[str, int]], expected: list[tuple[str, int]]
) -> None:
    """One backlog."""
    found = answer(list(backlog))
    stage.expect(found == expected, expected=f"{expected} of {backlog}", actual=f"{found!r:.120}")


@law("what changed once is sent as it is")
def once(answer: Answer, stage: Stage) -> None:
    """Nothing to conflate."""
    tell(answer, stage, [("tea", 9), ("rum", 4)], [("tea", 9), ("rum", 4)])
    tell(answer, stage, [], [])


@law("of each article only the newest is left")
def newest(answer: Answer, stage: Stage) -> None:
    """And it is the newest, not the largest or the first."""
    tell(answer, stage, [("tea", 9), ("tea", 7), ("tea", 8)], [("tea", 8)])


@law("what is left keeps the order of the newest ones")
def order(answer: Answer, stage: Stage) -> None:
    """Tea was changed last, so tea is last."""
    tell(answer, stage, [("tea", 9), ("rum", 4), ("tea", 8)], [("rum", 4), ("tea", 8)])
