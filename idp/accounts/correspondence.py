"""In whose name letters to people are written, in which language, and where they go."""

from collections.abc import Iterable
from dataclasses import dataclass

from idp.accounts.models import Account, Organization
from idp.mail.letters import Desk
from idp.texts.catalogue import DEFAULT_LANGUAGE, LANGUAGES


@dataclass(frozen=True)
class Correspondence:
    """The name and the service desk of this installation; an organisation without a number of its own has that one."""

    brand: str
    phone: str

    def desk(self, organization: Organization) -> Desk:
        """Who writes to the people of this organisation."""
        phone = organization.service_desk_phone or self.phone
        return Desk(self.brand, organization.name, phone, organization.service_desk_email)


def language_of(account: Account) -> str:
    """The person's language where there are texts in it, otherwise Dutch."""
    language = (account.locale or "").partition("-")[0].lower()
    return language if language in LANGUAGES else DEFAULT_LANGUAGE


def distinct(addresses: Iterable[str | None]) -> list[str]:
    """Each mailbox once, however its address is written, in the order given; None is no address."""
    return list({address.strip().casefold(): address for address in addresses if address}.values())
