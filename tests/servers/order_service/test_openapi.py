"""Every lane answers what its OpenAPI document says, whatever it is sent."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks as judged

from labcore.lanes import DatabaseServer, Deployment, Stage
from servers.order_service import SCENARIO, openapi

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
CASES = 40  # an operation and lane; `st run URL/openapi.json -n 1000` sends more


@pytest.fixture(scope="module", params=[lane.name for lane in SCENARIO.lanes])
def deployed(
    database_server: DatabaseServer, request: pytest.FixtureRequest
) -> Iterator[Deployment]:
    values = {"payment_ms": 1.0, "payment_sigma": 0.0}
    with (
        Stage(SCENARIO, values, server=database_server) as stage,
        stage.deploy(request.param) as deployment,
    ):
        yield deployment


RIGHT, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
OPERATIONS = [
    (path, method, mode)
    for path, methods in openapi.document()["paths"].items()
    for method, operation in methods.items()
    for mode in ((RIGHT, WRONG) if operation.get("parameters") else (RIGHT,))
]


def test_the_document_is_openapi():
    schemathesis.openapi.from_dict(openapi.document()).validate()


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_every_answer_keeps_the_contract(
    deployed: Deployment, path: str, method: str, mode: GenerationMode
):
    api = schemathesis.openapi.from_url(f"{deployed.url}/openapi.json")
    operation = api[path][method]

    @settings(
        max_examples=CASES,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def judge(case: "schemathesis.Case[Any]") -> None:
        # Whether a customer or a product exists is no matter of shape: well-formed orders may be refused.
        case.call_and_validate(excluded_checks=[judged.positive_data_acceptance])

    judge()
