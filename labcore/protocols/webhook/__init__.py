"""Webhooks: signatures, what an answer means and when to try again, where a delivery may go.

Source: Standard Webhooks 1.0.0.
"""

from labcore.protocols.webhook.address import Destination, destination, refusal
from labcore.protocols.webhook.attempts import (
    Decorrelated,
    Exponential,
    Fixed,
    FullJitter,
    Listed,
    Next,
    Schedule,
    after_attempt,
)
from labcore.protocols.webhook.foreign import verify_github, verify_stripe
from labcore.protocols.webhook.signature import (
    Secret,
    SignatureError,
    Verified,
    sign,
    signed_headers,
    verify,
)

__all__ = [
    "Decorrelated",
    "Destination",
    "Exponential",
    "Fixed",
    "FullJitter",
    "Listed",
    "Next",
    "Schedule",
    "Secret",
    "SignatureError",
    "Verified",
    "after_attempt",
    "destination",
    "refusal",
    "sign",
    "signed_headers",
    "verify",
    "verify_github",
    "verify_stripe",
]
