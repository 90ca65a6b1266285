"""What a heartbeat must notice, and whom it must leave in peace."""

from labcore.learn.law import Answer, Stage, law


def tell(
    answer: Answer, stage: Stage, expected: str, *, now: float, heard: float, pinged: float
) -> None:
    """One look at the clock."""
    found = answer(now, heard, pinged)
    stage.expect(
        found == expected,
        expected=f"{expected!r} at {now} s, heard at {heard} s, pinged at {pinged} s",
        actual=f"{found!r:.40}",
    )


@law("a silent peer is asked after 20 s")
def asks(answer: Answer, stage: Stage) -> None:
    """Not before."""
    tell(answer, stage, "ping", now=120, heard=100, pinged=0)
    tell(answer, stage, "wait", now=119, heard=100, pinged=0)


@law("an open ping is given 10 s, and no second one is sent")
def patient(answer: Answer, stage: Stage) -> None:
    """However long the silence before."""
    tell(answer, stage, "wait", now=125, heard=100, pinged=120)
    tell(answer, stage, "wait", now=129, heard=100, pinged=120)


@law("a ping that nobody answers ends it")
def dead(answer: Answer, stage: Stage) -> None:
    """Thirty seconds after the last sign."""
    tell(answer, stage, "dead", now=130, heard=100, pinged=120)


@law("any sign of life answers a ping")
def answered(answer: Answer, stage: Stage) -> None:
    """The ping is old, and what was heard is younger."""
    tell(answer, stage, "wait", now=135, heard=121, pinged=120)
    tell(answer, stage, "ping", now=141, heard=121, pinged=120)
