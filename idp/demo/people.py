"""The organisation, the people and the two applications of the demonstration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from idp.accounts.models import Account
from idp.factors.email_code import EmailCode
from idp.factors.models import Credential
from idp.factors.totp import Totp, key_text
from idp.wiring import Services

ORG_CODE = "10234"
ORGANIZATION = "Zorggroep De Linde"
SERVICE_DESK_PHONE = "088 - 600 6400"
SERVICE_DESK_HOURS = "op werkdagen van 8.00 tot 17.00 uur"
REQUIRED_SINCE = timedelta(days=30)
POSTPONABLE_FOR = timedelta(days=60)


@dataclass(frozen=True)
class Person:
    """Somebody who can log in, or not; `state` says how they are at first. The password is no secret."""

    username: str
    given_name: str
    family_name: str
    password: str
    state: str


PEOPLE = (
    Person("anna", "Anna", "de Wit", "zeven zwanen zwemmen", "has an authenticator app"),
    Person("bram", "Bram", "Jansen", "koffie met appeltaart", "gets codes by e-mail"),
    Person("carla", "Carla", "Bakker", "fietsen langs het water", "postponed the choice before"),
    Person("dirk", "Dirk", "Visser", "regen op het tentdoek", "is blocked"),
    Person("els", "Els", "Mulder", "een bankje in de zon", "has set up nothing yet"),
)


HAS = {Totp.name: "an authenticator app", "email": "codes by e-mail"}


@dataclass(frozen=True)
class Application:
    """A relying application: the identifier it is registered by, its name, its look, and its port after the first."""

    client_id: str
    name: str
    accent: str
    offset: int


APPLICATIONS = (Application("atosi", "Atosi", "plum", 1), Application("rapportages", "Rapportages", "moss", 2))


def add_people(services: Services) -> None:
    """The organisation and its people are there; those that are there already stay as they are.

    By the clock of the services, a second factor has been required for 30 days and can be postponed for 60 more.
    """
    if any(organization.org_code == ORG_CODE for organization in services.organizations.list()):
        return
    now = services.clock.now()
    today = now.astimezone(ZoneInfo("Europe/Amsterdam")).date()
    services.organizations.add(
        ORG_CODE,
        ORGANIZATION,
        second_factor_required_from=today - REQUIRED_SINCE,
        postpone_until=today + POSTPONABLE_FOR,
        service_desk_phone=SERVICE_DESK_PHONE,
        service_desk_hours=SERVICE_DESK_HOURS,
    )
    for person in PEOPLE:
        services.accounts.add(
            ORG_CODE,
            person.username,
            person.password,
            name=f"{person.given_name} {person.family_name}",
            given_name=person.given_name,
            family_name=person.family_name,
            email=f"{person.username}@delinde.example",
            locale="nl",
        )
    _enrol_app(services, "anna")
    _enrol_mailbox(services, "bram")
    services.accounts.block(ORG_CODE, "dirk")
    carla = services.accounts.show(ORG_CODE, "carla").account
    with services.units.writing() as unit:
        unit.execute(update(Account).where(Account.id == carla.id).values(last_postponed_at=now - timedelta(days=1)))


def add_application(services: Services, application: Application, base_url: str, client_secret: str) -> None:
    """The application is registered; one that is stays as it is."""
    if any(client.client_id == application.client_id for client in services.clients.list()):
        return
    services.clients.add(
        application.name,
        [f"{base_url}/callback"],
        client_id=application.client_id,
        client_secret=client_secret,
        token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the name of a method, not a password
        post_logout_redirect_uris=[f"{base_url}/signed-out"],
        backchannel_logout_uri=f"{base_url}/session/backchannel-logout",
        session_activity="reported",
        first_party=True,
        client_uri=f"{base_url}/",
    )


def totp_keys(services: Services) -> Mapping[str, str]:
    """The keys of the authenticator apps that the demonstration's people have now, by username."""
    query = (
        select(Account.username, Credential)
        .join(Credential, Credential.account_id == Account.id)
        .where(Credential.method == Totp.name, Credential.withdrawn_at.is_(None))
    )
    with services.units.reading() as unit:
        found = unit.execute(query).all()
    return {
        username: key_text(services.envelope.open(credential.secret_sealed or b"", _place(credential.account_id)))
        for username, credential in found
    }


def states(services: Services) -> Mapping[str, str]:
    """How the demonstration's people are now, by username: whoever set something up since has that."""
    query = (
        select(Account.username, Credential.method)
        .join(Credential, Credential.account_id == Account.id)
        .where(Credential.withdrawn_at.is_(None))
    )
    with services.units.reading() as unit:
        methods: dict[str, list[str]] = {}
        for username, method in unit.execute(query.order_by(Credential.id)):
            methods.setdefault(username, []).append(HAS.get(method, method))
    return {
        each.username: "has " + " and ".join(methods[each.username]) if each.username in methods else each.state
        for each in PEOPLE
    }


def _enrol_app(services: Services, username: str) -> None:
    account = services.accounts.show(ORG_CODE, username).account
    sealed = services.envelope.seal(Totp().begin_enrolment().secret, _place(account.id))
    with services.units.writing() as unit:
        unit.add(
            Credential(account_id=account.id, method=Totp.name, secret_sealed=sealed, enrolled_at=services.clock.now())
        )


def _enrol_mailbox(services: Services, username: str) -> None:
    account = services.accounts.show(ORG_CODE, username).account
    address = account.email or ""
    with services.units.writing() as unit:
        unit.add(
            Credential(
                account_id=account.id,
                method=EmailCode.name,
                address=address,
                secret_sealed=services.envelope.seal(address.encode(), _place(account.id)),
                enrolled_at=services.clock.now(),
            )
        )


def _place(account_id: int) -> str:
    """Where `signin` seals and opens the secret of a credential."""
    return f"credentials:{account_id}"
