"""The partners of a run: registered when the service starts, for only then is the receiver's address known.

A service that starts anew on the same database finds them there, and moves those whose receiver moved.
"""

from labcore.lanes import ServiceSetting
from labcore.protocols.webhook import Secret
from servers.partner_webhook_dispatcher.contract import Lab
from servers.partner_webhook_dispatcher.domain import NewPartner
from servers.partner_webhook_dispatcher.office import Office
from servers.partner_webhook_dispatcher.workload import event_type, groups_of

RECEIVER = "partner-receiver"


async def seed(office: Office, setting: ServiceSetting, lab: Lab) -> None:
    """Register the scenario's partners at its receiver, if it has one."""
    receiver = setting.peers.get(RECEIVER)
    if receiver is None:
        return
    values = setting.parameters
    groups, in_order = groups_of(values), int(values["ordered_partners"])
    for number in range(int(values["partners"])):
        name = partner_name(number)
        partner = NewPartner(
            id=name,
            url=f"{receiver}/partners/{name}",
            types=(event_type(number % groups),),
            ordered=number < in_order,
            rate_per_s=lab.rate_per_s,
            places=lab.places,
            timeout_s=lab.timeout_s,
            retry=lab.retry,
            secret=Secret.generate(),
        )
        if not await office.register(partner):
            await office.move(name, partner.url)
    await office.refresh()


def partner_name(number: int) -> str:
    """Its id, and its name at the receiver."""
    return f"partner-{number:03}"
