"""The payment adapter: peer of the checkout, with a simulated acquirer."""

from servers.payment_adapter_service.acquirer import Fate, Fault, Settings, fate, in_outage
from servers.payment_adapter_service.app import build
from servers.payment_adapter_service.bad_day import Scene, bad_day

__all__ = ["Fate", "Fault", "Scene", "Settings", "bad_day", "build", "fate", "in_outage"]
