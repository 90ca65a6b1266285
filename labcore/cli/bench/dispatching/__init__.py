"""What the dispatch proof is made of: partners' endpoints with faults, and the judge of what came."""

from labcore.cli.bench.dispatching.endpoints import Conduct, Endpoints, Receipt, conducts
from labcore.cli.bench.dispatching.judging import Judgement, Published, Stored, judged

__all__ = [
    "Conduct",
    "Endpoints",
    "Judgement",
    "Published",
    "Receipt",
    "Stored",
    "conducts",
    "judged",
]
