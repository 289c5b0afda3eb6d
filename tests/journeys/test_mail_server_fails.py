"""What the person sees while the mail server refuses, hangs, defers, rejects or breaks off."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.factories import Somebody
from tests.jobs.mail import sender
from tests.journeys.driver import MINUTE, World, acr
from tests.services.ports import free_port
from tests.services.smtp import BrokenRelay, SmtpServer, drops_in_the_message, hangs

FAILS = "Het versturen van de e-mail lukt nu niet."
SENT = "Wij hebben een e-mail gestuurd naar"


@pytest.fixture
def els(world: World) -> Somebody:
    return world.campaigner()


@contextmanager
def refuses() -> Iterator[int]:
    """Nobody listens."""
    yield free_port()


@contextmanager
def answers(line: str) -> Iterator[int]:
    with SmtpServer() as server:
        server.answer = line
        yield server.port


@contextmanager
def breaks(behaviour: object) -> Iterator[int]:
    with BrokenRelay(behaviour) as relay:  # type: ignore[arg-type]
        yield relay.port


FAULTS = {
    "refuses": refuses,
    "hangs": lambda: breaks(hangs),
    "defers": lambda: answers("451 try again later"),
    "rejects": lambda: answers("550 no such mailbox"),
    "drops": lambda: breaks(drops_in_the_message),
}


def deliver(world: World, port: int) -> None:
    """One round of the worker."""
    with world.app.app_context():
        sender(world.services, port).run()


@pytest.mark.parametrize("fault", FAULTS)
def test_page_says_that_mail_fails_and_the_code_works_once_the_server_does(
    world: World, els: Somebody, fault: str
) -> None:
    down: AbstractContextManager[int] = FAULTS[fault]()
    visit = world.visit().identify(els).choose("email")
    with down as port:
        deliver(world, port)
    visit.reload()
    assert FAILS in visit.page.text and SENT not in visit.page.text and visit.page.has("code-submit")
    world.clock.move(MINUTE)
    if fault == "rejects":
        visit.press("code-resend")
    with SmtpServer() as server:
        deliver(world, server.port)
        [message] = server.messages
    visit.reload()
    assert SENT in visit.page.text and FAILS not in visit.page.text
    assert visit.type_code(message.subject.split()[0]).tokens().claims["acr"] == acr(2)


def test_while_mail_fails_another_method_can_be_set_up(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els).choose("email")
    deliver(world, free_port())
    visit.reload().open(visit.url("enrol_second_factor") + "?choose=1")
    visit.choose("totp").set_up(els)
    assert visit.tokens().claims["acr"] == acr(3)


def test_page_says_that_the_mail_left(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els).choose("email")
    assert "Wij sturen nu een e-mail naar" in visit.page.text
    with SmtpServer() as server:
        deliver(world, server.port)
    assert SENT in visit.reload().page.text


def test_mail_that_is_received_signs_in_and_looks_as_promised(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els).choose("email")
    with SmtpServer() as server:
        deliver(world, server.port)
        message = server.wait_for("els@voorbeeld.example")
    code = message.subject.split()[0]
    assert message.subject == f"{code} is uw code voor Atosi"
    assert code in message.text.splitlines() and "http" not in message.text
    html = message.message.get_body(("html",))
    assert html is not None and code in html.get_content() and "http" not in html.get_content()
    assert visit.type_code(code).page.has_left
