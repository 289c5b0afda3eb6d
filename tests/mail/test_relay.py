"""A message reaches a relay that proves who it is and answers in time, and no other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from idp.kernel.clock import ticks
from idp.mail.failures import NotSent, UnusableAddress
from idp.mail.letters import Letter
from idp.mail.post import SealedLetter
from idp.mail.relay import Relay, ascii_address
from idp.settings import MailSettings
from tests.mail.conftest import MakeRelay
from tests.mail.letters_of_all_kinds import AT, CODE, DESK, TO, code_letter, every_letter
from tests.services.certificates import Authority
from tests.services.ports import free_port
from tests.services.smtp import (
    Behaviour,
    BrokenRelay,
    ReceivedMessage,
    SmtpServer,
    drips,
    drops_after_the_message,
    drops_in_the_message,
    hangs,
)

HEADERS = set(
    "subject from to date message-id auto-submitted content-language mime-version content-type".split()
)  # fmt: skip


def send(relay: Relay, letter: Letter | None = None) -> None:
    message = relay.message(SealedLetter(letter or code_letter(), "a-reference", AT), AT)
    with relay.connection() as connection:
        connection.send(message)


def failure(relay: Relay, letter: Letter | None = None) -> NotSent:
    with pytest.raises(NotSent) as caught:
        send(relay, letter)
    return caught.value


def received(smtp: SmtpServer) -> ReceivedMessage:
    (message,) = smtp.messages
    return message


def test_message_has_the_headers_of_an_automatic_letter(smtp: SmtpServer, make_relay: MakeRelay) -> None:
    send(make_relay(smtp.port))
    delivery = received(smtp)
    assert delivery.sender == "no-reply@login.example" and delivery.recipients == (TO,)
    headers = delivery.message
    assert headers["From"] == "Atosi <no-reply@login.example>"
    assert headers["To"] == TO
    assert headers["Reply-To"] == "servicedesk@delinde.example"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["Message-ID"] == "<a-reference@login.example>"
    assert headers["Content-Language"] == "nl"
    assert parsedate_to_datetime(headers["Date"]) == AT
    assert headers.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in headers.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_text_and_html_carry_the_same_code_as_the_subject(
    smtp: SmtpServer, make_relay: MakeRelay, language: str
) -> None:
    send(make_relay(smtp.port), code_letter(language=language))
    html = received(smtp).message.get_body(("html",))
    assert html is not None
    assert received(smtp).subject.startswith(CODE)
    assert CODE in received(smtp).text.splitlines() and f">{CODE}</p>" in html.get_content()


def test_every_letter_arrives_as_it_was_written_and_without_a_link(smtp: SmtpServer, make_relay: MakeRelay) -> None:
    relay = make_relay(smtp.port)
    letters = [letter for language in ("nl", "en") for letter in every_letter(language)]
    for letter in letters:
        send(relay, letter)
    assert len(smtp.messages) == len(letters)
    for delivery in smtp.messages:
        assert "http" not in delivery.message.as_string().lower()
        assert all(ord(character) < 128 for character in delivery.message.as_bytes().decode("ascii"))


def test_letter_without_an_address_of_the_desk_asks_for_no_answer(smtp: SmtpServer, make_relay: MakeRelay) -> None:
    send(make_relay(smtp.port), code_letter(replace(DESK, reply_to=None)))
    assert received(smtp).message["Reply-To"] is None


@pytest.mark.parametrize(
    "brand",
    [
        "Atosi\r\nBcc: eve@evil.example",
        "Atosi\nX-Evil: 1\n\nbody",
        'Atosi" <eve@evil.example>, "x',
        "Atosi, Utrecht (NL)",
        "Zorggroep Ærø, Coöperatie “De Linde” U.A. te 's-Hertogenbosch en omstreken",
        "eve@evil.example",
        "=?utf-8?q?x=0D=0ABcc:_eve?=",
        "\u202egnp.isotA",
    ],
)
def test_brand_forges_no_header_and_no_sender(smtp: SmtpServer, make_relay: MakeRelay, brand: str) -> None:
    send(make_relay(smtp.port), code_letter(replace(DESK, brand=brand, reply_to=f"desk@delinde.example\r\nBcc: {TO}")))
    headers = received(smtp).message
    (sender,) = headers["From"].addresses
    assert sender.addr_spec == "no-reply@login.example"
    # What begins with X- is added by the test's server.
    assert {name.lower() for name in headers if not name.startswith("X-") or name == "X-Evil"} == HEADERS
    assert received(smtp).recipients == (TO,)
    assert headers["Subject"].startswith(f"{CODE} is uw code voor ")


def test_name_with_letters_from_elsewhere_arrives_whole(smtp: SmtpServer, make_relay: MakeRelay) -> None:
    brand = "Zorggroep Ærø, De “Linde”"
    send(make_relay(smtp.port), code_letter(replace(DESK, brand=brand)))
    (sender,) = received(smtp).message["From"].addresses
    assert sender.display_name == brand
    assert received(smtp).subject == f"{CODE} is uw code voor {brand}"


@pytest.mark.parametrize(
    "address",
    [
        "jan@voorbeeld.example\r\nRCPT TO:<eve@evil.example>",
        "jan@voorbeeld.example, eve@evil.example",
        "jan jansen@voorbeeld.example",
        "jan@voorbeeld.example>",
        "jän@voorbeeld.example",
        "@voorbeeld.example",
        "jan@",
        "jan",
        "",
        "jan@voorbeeld\x00.example",
    ],
)
def test_address_that_no_relay_understands_is_given_up_at_once(make_relay: MakeRelay, address: str) -> None:
    with pytest.raises(UnusableAddress) as caught:
        make_relay(free_port()).message(SealedLetter(code_letter(to=address), "r", AT), AT)
    assert caught.value.is_final and "jan" not in caught.value.detail


def test_domain_of_other_letters_is_written_as_the_network_knows_it() -> None:
    assert ascii_address("jan@coöperatie.example") == "jan@" + "coöperatie.example".encode("idna").decode()


def test_relay_that_is_not_there_is_tried_again(make_relay: MakeRelay) -> None:
    why = failure(make_relay(free_port()))
    assert (why.detail, why.is_final) == ("connection refused", False)


@pytest.mark.parametrize(
    ("behaviour", "detail"),
    [
        (hangs, "timed out"),
        (drips, "connection lost"),
        (drops_in_the_message, "connection lost"),
    ],
)
def test_relay_that_does_not_do_its_part_is_left_in_time(
    make_relay: MakeRelay, behaviour: Behaviour, detail: str
) -> None:
    with BrokenRelay(behaviour) as broken:
        started = ticks()
        why = failure(make_relay(broken.port, timeout=timedelta(milliseconds=300)))
        assert ticks() - started < timedelta(seconds=3)
    assert (why.detail, why.is_final) == (detail, False)


def test_relay_that_goes_away_after_its_answer_has_taken_the_message(make_relay: MakeRelay) -> None:
    with BrokenRelay(drops_after_the_message) as broken:
        send(make_relay(broken.port))


def answers(where: str) -> Callable[[SmtpServer, str], None]:
    return lambda smtp, answer: setattr(smtp, where, answer)


@pytest.mark.parametrize("where", ["answer", "recipient_answer"])
@pytest.mark.parametrize(("number", "detail", "is_final"), [(451, "deferred 451", False), (550, "refused 550", True)])
def test_answer_of_the_relay_is_kept_as_its_number_alone(
    smtp: SmtpServer, make_relay: MakeRelay, where: str, number: int, detail: str, is_final: bool
) -> None:
    answers(where)(smtp, f"{number} <{TO}> says no to {CODE}")
    why = failure(make_relay(smtp.port))
    assert (why.detail, why.is_final) == (detail, is_final)
    assert smtp.messages == []


def test_relay_that_asks_for_a_login_gets_it_once_the_connection_is_encrypted(
    trusted: Authority, certificates: Path, make_relay: MakeRelay
) -> None:
    context = trusted.server_context("127.0.0.1", certificates)
    with SmtpServer(context, login=("idp", "a long password of the relay")) as smtp:
        send(make_relay(smtp.port, tls="starttls", username="idp", password="a long password of the relay"))
        why = failure(make_relay(smtp.port, tls="starttls", username="idp", password="another password"))
        assert (why.detail, why.is_final) == ("login refused 535", False)
        assert received(smtp).encrypted


def test_login_that_the_relay_does_not_offer_is_tried_again(smtp: SmtpServer, make_relay: MakeRelay) -> None:
    why = failure(make_relay(smtp.port, username="idp", password="secret"))
    assert (why.detail, why.is_final) == ("relay lacks what is needed", False)


def test_starttls_with_a_trusted_certificate_is_used(
    trusted: Authority, certificates: Path, make_relay: MakeRelay
) -> None:
    with SmtpServer(trusted.server_context("127.0.0.1", certificates)) as smtp:
        send(make_relay(smtp.port, tls="starttls"))
        assert received(smtp).encrypted


def test_tls_from_the_start_with_a_trusted_certificate_is_used(
    trusted: Authority, certificates: Path, make_relay: MakeRelay
) -> None:
    with SmtpServer(trusted.server_context("127.0.0.1", certificates), from_the_start=True) as smtp:
        send(make_relay(smtp.port, tls="tls"))
        assert received(smtp).encrypted


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_certificate_that_nobody_vouches_for_is_refused(
    authority: Authority, certificates: Path, make_relay: MakeRelay, tls: str
) -> None:
    with SmtpServer(authority.server_context("127.0.0.1", certificates), from_the_start=tls == "tls") as smtp:
        why = failure(make_relay(smtp.port, tls=tls))
        assert (why.detail, why.is_final) == ("certificate not trusted", False)
        assert smtp.messages == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_certificate_of_another_host_is_refused(
    trusted: Authority, certificates: Path, make_relay: MakeRelay, tls: str
) -> None:
    with SmtpServer(trusted.server_context("other.example", certificates), from_the_start=tls == "tls") as smtp:
        why = failure(make_relay(smtp.port, tls=tls))
        assert why.detail == "certificate not trusted"
        assert smtp.messages == []


def test_relay_whose_starttls_was_taken_away_gets_nothing(smtp: SmtpServer, make_relay: MakeRelay) -> None:
    why = failure(make_relay(smtp.port, tls="starttls", username="idp", password="secret"))
    assert (why.detail, why.is_final) == ("relay lacks what is needed", False)
    assert smtp.messages == []


def test_relay_that_takes_nothing_unencrypted_is_tried_again(
    authority: Authority, certificates: Path, make_relay: MakeRelay
) -> None:
    with SmtpServer(authority.server_context("127.0.0.1", certificates)) as smtp:
        why = failure(make_relay(smtp.port))
        assert (why.detail, why.is_final) == ("relay answered 530", False)


@pytest.mark.parametrize(
    ("issuer", "host"),
    [
        ("https://login.example/tenant", "login.example"),
        ("http://127.0.0.1:8000", "[127.0.0.1]"),
        ("http://[::1]:8000", "[IPv6:::1]"),
    ],
)
def test_host_of_the_issuer_ends_each_message_id(issuer: str, host: str) -> None:
    relay = Relay(MailSettings(host="127.0.0.1", tls="none", sender="no-reply@login.example"), issuer)
    message = relay.message(SealedLetter(code_letter(), "a-reference", AT), AT)
    assert f"\r\nMessage-ID: <a-reference@{host}>\r\n" in message.as_bytes().decode()
