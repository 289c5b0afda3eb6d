"""A provider in a process of its own, the demonstration's two applications, and people who use them."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pyotp
from sqlalchemy import func, select, update

from idp.accounts.models import Organization
from idp.attempts.models import AttemptBudget
from idp.audit.trail import AuditEvent
from idp.demo import server
from idp.demo.relying_party import RelyingPartyConfig, create_relying_party
from idp.factors.models import Credential, SentCode
from idp.factors.totp import key_text
from idp.outbox.models import OutboxMessage
from idp.sessions.models import Session
from idp.signin.interaction import Interaction
from idp.store.base import Base
from tests.factories import Somebody
from tests.jobs.mail import sender
from tests.live import LiveProvider
from tests.services.ports import LOOPBACK, free_port
from tests.services.smtp import ReceivedMessage, SmtpServer

MOMENTS: Mapping[type[Base], tuple[str, ...]] = {
    Interaction: ("created_at", "last_activity_at", "password_proven_at"),
    Session: ("auth_time", "opened_at", "last_activity_at", "idle_ends_at", "absolute_ends_at"),
    SentCode: ("created_at", "expires_at"),
    OutboxMessage: ("next_try_at", "expires_at"),
    AttemptBudget: ("waits_until", "tried_1_at", "tried_2_at", "tried_3_at", "tried_4_at"),
}
PAUSE = timedelta(minutes=1)
"""Between two mails to somebody. Longer than a slow machine needs for two pages."""
VERIFIER = "a-verifier-that-only-the-tests-know-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class World:
    """Where journeys take place. `atosi` and `rapportages` are base URLs, of another site than the provider's."""

    def __init__(self, live: LiveProvider, atosi: str, rapportages: str, smtp: SmtpServer) -> None:
        self.live, self.atosi, self.rapportages, self.smtp = live, atosi, rapportages, smtp
        self._codes = itertools.count(20_001)

    @property
    def issuer(self) -> str:
        return self.live.issuer

    # people, each in an organisation of their own

    def newcomer(self, postponable_for: timedelta | None = timedelta(days=60)) -> Somebody:
        """Somebody without a method in an organisation that requires one; None: postponing is over."""
        until = self.today() + (postponable_for if postponable_for is not None else timedelta(days=-1))
        return self._person(required_from=self.today() - timedelta(days=30), postpone_until=until)

    def app_user(self) -> Somebody:
        """Somebody who has an authenticator app."""
        return self._person(totp=True)

    def password_user(self) -> Somebody:
        """Somebody of whom no method is asked yet."""
        return self._person()

    def _person(
        self, required_from: date | None = None, postpone_until: date | None = None, totp: bool = False
    ) -> Somebody:
        org_code = str(next(self._codes))
        organization = self.live.make.organization(org_code, required_from, postpone_until)
        return self.live.make.account(organization, org_code=org_code, totp=totp, email=address_in(org_code))

    # mail

    def deliver(self) -> None:
        """The worker made its round: what was due has been sent."""
        with self.live.app.app_context():
            sender(self.live.services, self.smtp.port, timeout=timedelta(seconds=10)).run()

    def mails_to(self, who: Somebody) -> list[ReceivedMessage]:
        """Everything that is in the person's mailbox by now, oldest first."""
        self.deliver()
        return self.smtp.sent_to(address_in(who.org_code))

    def mailed_code(self, who: Somebody) -> str:
        """The code of the newest mail, as its subject shows it."""
        codes = [mail.subject.split()[0] for mail in self.mails_to(who) if mail.subject[:6].isdigit()]
        return codes[-1]

    def next_code_of(self, app: pyotp.TOTP) -> str:
        """What the app shows in 30 seconds; accepted now, and not yet used."""
        return app.at(self.live.services.clock.now() + timedelta(seconds=30))

    def code(self, who: Somebody, steps: int = 0) -> str:
        """What the person's app shows now, or some steps of 30 seconds later."""
        return who.code(self.live.services, steps)

    def code_that_begins(self, digits: str, who: Somebody) -> str:
        """What the person's app shows now: it got another key, with which the code begins with these digits."""
        while True:
            secret = self.live.services.answers.factors["totp"].begin_enrolment().secret
            code = pyotp.TOTP(key_text(secret)).at(self.live.services.clock.now())
            if code.startswith(digits):
                break
        with self.live.app.app_context(), self.live.services.units.writing() as unit:
            sealed = self.live.services.envelope.seal(secret, f"credentials:{who.id}")
            unit.execute(update(Credential).where(Credential.account_id == who.id).values(secret_sealed=sealed))
        return code

    def wrong_code(self, who: Somebody) -> str:
        """Six digits that the person's app does not show around now."""
        assert who.totp_secret is not None
        return not_a_code_of(pyotp.TOTP(key_text(who.totp_secret)), self.live.services.clock.now())

    # time and what is kept

    def today(self) -> date:
        return self.live.services.clock.now().astimezone(ZoneInfo("Europe/Amsterdam")).date()

    def pass_time(self, distance: timedelta) -> None:
        """Everything that happened so far happened that much earlier."""
        with self.live.app.app_context(), self.live.services.units.writing() as unit:
            for model, names in MOMENTS.items():
                for row in unit.scalars(select(model)).all():
                    for name in names:
                        moment = getattr(row, name)
                        if moment is not None:
                            setattr(row, name, moment - distance)

    def move_deadline(self, who: Somebody, until: date) -> None:
        """The person's organisation lets its people postpone until this day."""
        with self.live.app.app_context(), self.live.services.units.writing() as unit:
            unit.execute(update(Organization).where(Organization.org_code == who.org_code).values(postpone_until=until))

    def is_code_unused(self, who: Somebody) -> bool:
        """True while no code of the person's app was accepted."""
        with self.live.app.app_context(), self.live.services.units.reading() as unit:
            return unit.scalars(select(Credential.last_step).filter_by(account_id=who.id)).one() is None

    def events(self, **about: object) -> list[AuditEvent]:
        """What the audit trail holds about something, oldest first."""
        with self.live.app.app_context(), self.live.services.units.reading() as unit:
            return list(unit.scalars(select(AuditEvent).filter_by(**about).order_by(AuditEvent.id)))

    def events_so_far(self) -> int:
        with self.live.app.app_context(), self.live.services.units.reading() as unit:
            return unit.scalars(select(func.count(AuditEvent.id))).one()

    # addresses

    def authorization_url(self, client_id: str, redirect_uri: str, **parameters: str) -> str:
        """A request as an application would make it."""
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": "the state",
            "nonce": "the nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return f"{self.issuer}/authorize?{urlencode(asked | parameters)}"


def address_in(org_code: str) -> str:
    """Where the one person of this organisation gets mail."""
    return f"anna{org_code}@voorbeeld.example"


def not_a_code_of(app: pyotp.TOTP, now: datetime) -> str:
    """Six digits that the app does not show between two minutes ago and in two minutes."""
    near = {app.at(now + timedelta(seconds=30 * step)) for step in range(-4, 5)}
    return next(code for code in map("{:06d}".format, itertools.count(123456)) if code not in near)


@contextmanager
def world(database_url: str) -> Iterator[World]:
    """Everything answers inside the `with` block; after it no process, thread or connection is left."""
    live = LiveProvider(database_url, mail_codes={"pause": PAUSE})
    ports = {"Atosi": free_port(), "Rapportages": free_port()}
    addresses = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    with ExitStack() as stack:
        stack.callback(live.stop)
        live.start()
        for name, other, accent in (("Atosi", "Rapportages", "plum"), ("Rapportages", "Atosi", "moss")):
            base_url = addresses[name]
            client_id, secret = live.add_client(
                name.lower(),
                f"{base_url}/callback",
                post_logout_redirect_uris=[f"{base_url}/signed-out"],
                client_uri=f"{base_url}/",
                session_activity="reported",
            )
            config = RelyingPartyConfig(
                name=name,
                issuer=live.issuer,
                client_id=client_id,
                client_secret=secret,
                base_url=base_url,
                secret_key="a key for tests only",
                session_cookie=f"{client_id}_session",
                accent=accent,
                other_name=other,
                other_url=addresses[other],
            )
            party = create_relying_party(config)
            stack.callback(party.extensions["idp_kit"].close)
            stack.enter_context(server.serving(party, LOOPBACK, ports[name]))
        yield World(live, addresses["Atosi"], addresses["Rapportages"], stack.enter_context(SmtpServer()))
