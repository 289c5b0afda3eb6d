"""Organisations and their rules."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, TypedDict, Unpack
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Organization
from idp.accounts.names import canonical, checked
from idp.admin.appearance import Texts, check_appearance, merged
from idp.admin.refusals import Reasons
from idp.audit.events import OrganizationChanged
from idp.audit.trail import Trail
from idp.kernel.clock import Clock
from idp.kernel.errors import Refused
from idp.store.units import UnitsOfWork

LONGEST = {"name": 200, "service_desk_phone": 40, "service_desk_hours": 200}
DEFAULT_TIME_ZONE = "Europe/Amsterdam"
# The moment at which a day ends must still be a moment, in every time zone.
LAST_DAY = date(2999, 12, 31)


class Rules(TypedDict, total=False):
    """What can be set; None clears what may be empty."""

    time_zone: str
    second_factor_required_from: date | None
    postpone_until: date | None
    email_allowed: bool
    service_desk_phone: str | None
    service_desk_hours: str | None
    service_desk_email: str | None
    idle_timeout: timedelta | None
    absolute_timeout: timedelta | None


class Changes(Rules, total=False):
    """What can be set later."""

    name: str
    brand_colour: str | None
    privacy_uri: str | None
    texts: Texts | None


class Organizations:
    """Creates and changes organisations.

    `longest_idle_timeout` and `longest_absolute_timeout` are those of the installation; an organisation may only have
    shorter ones. `mail_is_set_up`: codes by e-mail can be allowed.
    """

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        trail: Trail,
        mail_is_set_up: bool,
        longest_idle_timeout: timedelta = timedelta(minutes=30),
        longest_absolute_timeout: timedelta = timedelta(hours=12),
    ) -> None:
        self._units, self._clock, self._trail = units, clock, trail
        self._mail_is_set_up = mail_is_set_up
        self._longest = {"idle_timeout": longest_idle_timeout, "absolute_timeout": longest_absolute_timeout}

    def add(self, org_code: str, name: str, **rules: Unpack[Rules]) -> Organization:
        """There is a new organisation. Raises Refused: the code is taken or not allowed, or a rule is wrong."""
        code = checked(org_code, "org_code")
        values: dict[str, Any] = {
            "time_zone": DEFAULT_TIME_ZONE,
            "email_allowed": self._mail_is_set_up,
            **rules,
            "name": name,
        }
        organization = Organization(org_code=code, created_at=self._clock.now(), **values)
        self._check(organization)
        taken = Refused("organization.exists", f"there is an organisation {code!r} already")
        try:
            with self._units.writing() as unit:
                if find(unit, code) is not None:
                    raise taken
                unit.add(organization)
                unit.flush()  # the event needs its id
                self._record(unit, organization, "created")
        except IntegrityError as error:
            # On PostgreSQL two can add the same code at once; the database lets one of them.
            raise taken from error
        return organization

    def set(self, org_code: str, **changes: Unpack[Changes]) -> Organization:
        """The changes given hold from now on; the others stay, also of the texts. Raises Refused."""
        with self._units.writing() as unit:
            organization = found(unit, org_code)
            if "texts" in changes:
                changes["texts"] = merged(organization.texts, changes["texts"])
            changed = [name for name, value in changes.items() if getattr(organization, name) != value]
            for name in changed:
                setattr(organization, name, changes[name])  # type: ignore[literal-required]
            self._check(organization)
            if changed:
                self._record(unit, organization, "set " + ", ".join(changed))
        return organization

    def list(self) -> Sequence[Organization]:
        """All organisations, by code."""
        with self._units.reading() as unit:
            return unit.scalars(select(Organization).order_by(Organization.org_code)).all()

    def show(self, org_code: str) -> Organization:
        """One organisation. Raises Refused when there is none with this code."""
        with self._units.reading() as unit:
            return found(unit, org_code)

    def _record(self, unit: Unit, organization: Organization, change: str) -> None:
        self._trail.record(unit, OrganizationChanged(change=change, organization_id=organization.id))

    def _check(self, organization: Organization) -> None:
        wrong = Reasons()
        wrong.unless(bool(organization.name.strip()), "organization.name_missing", "an organisation needs a name")
        for name, longest in LONGEST.items():
            text = getattr(organization, name) or ""
            fits = len(text) <= longest and text.isprintable()
            wrong.unless(fits, f"organization.{name}", f"{name} is one line of at most {longest} characters")
        _check_campaign(organization, wrong)
        check_appearance(organization, wrong)
        wrong.unless(
            is_time_zone(organization.time_zone),
            "organization.time_zone_unknown",
            f"there is no time zone {organization.time_zone!r}; write it as in Europe/Amsterdam",
        )
        for name, longest_allowed in self._longest.items():
            length = getattr(organization, name)
            wrong.unless(
                length is None or timedelta(0) < length <= longest_allowed,
                f"organization.{name}",
                f"{name} must be more than nothing and at most {longest_allowed}, the limit of this installation",
            )
        wrong.unless(
            not organization.email_allowed or self._mail_is_set_up,
            "organization.no_mail",
            "codes by e-mail need a mail relay: set [mail] in the configuration first",
        )
        wrong.raise_any()


def _check_campaign(organization: Organization, wrong: Reasons) -> None:
    required_from, postpone_until = organization.second_factor_required_from, organization.postpone_until
    if postpone_until is None:
        return
    wrong.unless(postpone_until <= LAST_DAY, "organization.postpone_until", f"postpone_until is at most {LAST_DAY}")
    if required_from is None:
        wrong.add(
            "organization.postpone_without_campaign",
            "postpone_until needs second_factor_required_from: without it nobody is asked anything to postpone",
        )
    elif postpone_until < required_from:
        wrong.add(
            "organization.postpone_before_required",
            f"postpone_until ({postpone_until}) lies before second_factor_required_from ({required_from})",
        )


def is_time_zone(name: str) -> bool:
    """True for a zone of the time zone database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def find(unit: Unit, org_code: str) -> Organization | None:
    """The organisation with this code, however it is spelled."""
    return unit.scalars(select(Organization).filter_by(org_code=canonical(org_code))).one_or_none()


def found(unit: Unit, org_code: str) -> Organization:
    """The organisation with this code. Raises Refused."""
    organization = find(unit, org_code)
    if organization is None:
        raise Refused("organization.unknown", f"there is no organisation {org_code!r}")
    return organization
