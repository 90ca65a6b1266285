"""The trace of one request through a deployed lane: what waited where, on whose thread."""

from labcore.kernel import PeerError, Trace, UsageError
from labcore.lanes.catalogue import scenario
from labcore.lanes.contract import Request, Values
from labcore.lanes.stage import Deployment, Stage

TIMEOUT_S = 30.0


def trace_request(deployment: Deployment, request: Request) -> Trace:
    """Send one request and fetch what the server did for it; the trace is named after the lane.

    Raises:
        UsageError: the lane was not deployed with `tracing=True`, or cannot be traced.
        PeerError: the server did not answer.
    """
    import httpx  # here, so that a measured process that imports this room does without

    from labcore.lanes.launch.traces import HEADER, ROUTE

    name = deployment.lane.name
    headers = [*request.headers, (HEADER, name)]
    try:
        with httpx.Client(base_url=deployment.url, timeout=TIMEOUT_S, trust_env=False) as client:
            client.request(request.method, request.path, headers=headers, content=request.body)
            answer = client.get(ROUTE)
    except httpx.HTTPError as exc:
        raise PeerError(f"lane {name!r} did not answer a traced request: {exc}") from exc
    if answer.status_code != 200:
        raise UsageError(f"lane {name!r} does not trace; deploy it with tracing=True")
    return Trace.from_json(answer.json()["traces"][-1])


def trace_lane(
    scenario_name: str, lane: str, *, parameters: Values | None = None, warm: int = 2
) -> Trace:
    """Deploy a lane, send one request of its workload, and stop it again.

    Args:
        scenario_name: for example `checkout`.
        lane: one of the scenario's own; a foreign service has no hooks.
        parameters: the scenario's knobs.
        warm: requests sent before, whose traces are dropped, that open connections and fill caches.

    Raises:
        UsageError: an unknown name, or a value out of range.
        EnvironmentFault: no database, no port.
    """
    card = scenario(scenario_name)
    values = card.values(parameters)
    requests = card.workload.requests(seed=1, count=warm + 1, parameters=values)
    with Stage(card, values) as stage, stage.deploy(card.lane(lane).name, tracing=True) as deployed:
        traces = [trace_request(deployed, request) for request in requests]
    return traces[-1]
