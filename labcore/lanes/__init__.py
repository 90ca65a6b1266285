"""Floor 3: scenarios, lanes, their processes and the conformance of both."""

from labcore.lanes.catalogue import parse_lane, scenario, scenarios
from labcore.lanes.conformance import CheckResult, NotApplicableError, conform
from labcore.lanes.contract import (
    Audience,
    Check,
    ForeignLane,
    Lane,
    Parameter,
    Peer,
    Request,
    Scenario,
    Service,
    ServiceSetting,
    Site,
    StreamKind,
    Value,
    Values,
    Workload,
)
from labcore.lanes.launch.context import ChildContext
from labcore.lanes.launch.database import DatabaseServer
from labcore.lanes.launch.http import hosted
from labcore.lanes.launch.process import Child
from labcore.lanes.stage import Deployment, Stage
from labcore.lanes.tracing import trace_lane, trace_request

__all__ = [
    "Audience",
    "Check",
    "CheckResult",
    "Child",
    "ChildContext",
    "DatabaseServer",
    "Deployment",
    "ForeignLane",
    "Lane",
    "NotApplicableError",
    "Parameter",
    "Peer",
    "Request",
    "Scenario",
    "Service",
    "ServiceSetting",
    "Site",
    "Stage",
    "StreamKind",
    "Value",
    "Values",
    "Workload",
    "conform",
    "hosted",
    "parse_lane",
    "scenario",
    "scenarios",
    "trace_lane",
    "trace_request",
]
