"""The payment adapter: peer of the checkout, with a simulated acquirer."""

from servers.payment_adapter_service.acquirer import Fate, Settings, fate, in_outage
from servers.payment_adapter_service.app import build

__all__ = ["Fate", "Settings", "build", "fate", "in_outage"]
