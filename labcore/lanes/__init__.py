"""Floor 3: scenarios, lanes, their processes and the conformance of both."""

from labcore.lanes.contract import (
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
    Value,
    Values,
    Workload,
)
from labcore.lanes.launch.context import ChildContext
from labcore.lanes.launch.database import DatabaseServer
from labcore.lanes.launch.process import Child

__all__ = [
    "Check",
    "Child",
    "ChildContext",
    "DatabaseServer",
    "ForeignLane",
    "Lane",
    "Parameter",
    "Peer",
    "Request",
    "Scenario",
    "Service",
    "ServiceSetting",
    "Site",
    "Value",
    "Values",
    "Workload",
]
