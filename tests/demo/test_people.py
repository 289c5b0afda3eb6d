"""What the demonstration says about its people."""

from idp.demo import people
from idp.factors.models import Credential
from idp.wiring import Services


def test_people_are_described_as_they_are_and_not_as_they_were_at_first(services: Services) -> None:
    people.add_people(services)
    assert people.states(services)["els"] == "has set up nothing yet"
    assert people.states(services)["anna"] == "has an authenticator app"
    els = services.accounts.show(people.ORG_CODE, "els").account
    now = services.clock.now()
    with services.units.writing() as unit:
        unit.add(Credential(account_id=els.id, method="email", address="els@example.org", enrolled_at=now))
    people._enrol_app(services, "els")
    states = people.states(services)
    assert states["els"] == "has codes by e-mail and an authenticator app"
    assert states["dirk"] == "is blocked" and len(states) == len(people.PEOPLE)
