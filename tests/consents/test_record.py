"""What people allowed clients: kept per account, client and scope."""

from datetime import timedelta

from idp.consents.models import Consent
from idp.consents.record import grant, granted_scope, revoke
from idp.kernel.clock import FixedClock
from idp.wiring import Services
from tests.factories import Factories


def scope(*values: str) -> frozenset[str]:
    return frozenset(values)


def test_nothing_is_granted_to_a_client_that_was_never_allowed_anything(services: Services, make: Factories) -> None:
    anna = make.person()
    with services.units.reading() as unit:
        assert granted_scope(unit, anna.id, "atosi") == scope()


def test_grant_is_kept_for_this_account_and_this_client_only(services: Services, make: Factories) -> None:
    organization = make.organization()
    anna, bram = make.account(organization, "anna"), make.account(organization, "bram")
    with services.units.writing() as unit:
        grant(unit, anna.id, "atosi", scope("openid", "email"), services.clock.now())
        assert granted_scope(unit, anna.id, "atosi") == scope("openid", "email")
    with services.units.reading() as unit:
        assert granted_scope(unit, anna.id, "atosi") == scope("openid", "email")
        assert granted_scope(unit, bram.id, "atosi") == scope()
        assert granted_scope(unit, anna.id, "rapportages") == scope()
        assert granted_scope(unit, anna.id, "ATOSI") == scope()


def test_second_grant_adds_to_the_first_and_moves_its_date(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    anna = make.person()
    with services.units.writing() as unit:
        grant(unit, anna.id, "atosi", scope("openid", "email"), clock.now())
    clock.move(timedelta(days=1))
    with services.units.writing() as unit:
        grant(unit, anna.id, "atosi", scope("openid", "profile"), clock.now())
    with services.units.reading() as unit:
        assert granted_scope(unit, anna.id, "atosi") == scope("openid", "email", "profile")
        assert unit.query(Consent).one().granted_at == clock.now()


def test_revoked_consent_is_gone_and_others_stay(services: Services, make: Factories) -> None:
    anna = make.person()
    with services.units.writing() as unit:
        for client_id in ("atosi", "rapportages"):
            grant(unit, anna.id, client_id, scope("openid"), services.clock.now())
    with services.units.writing() as unit:
        revoke(unit, anna.id, "atosi")
        revoke(unit, anna.id, "unknown")
    with services.units.reading() as unit:
        assert granted_scope(unit, anna.id, "atosi") == scope()
        assert granted_scope(unit, anna.id, "rapportages") == scope("openid")
