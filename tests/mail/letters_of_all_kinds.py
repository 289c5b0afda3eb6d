"""One letter of each kind, for tests."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from idp.mail import letters
from idp.mail.letters import Desk, Letter

AT = datetime(2026, 11, 23, 13, 35, tzinfo=UTC)
ZONE = "Europe/Amsterdam"
CODE = "482915"
DESK = Desk("Atosi", "De Linde", "088 - 600 6400", "servicedesk@delinde.example")
TO = "j.jansen@voorbeeld.example"


def code_letter(
    desk: Desk = DESK, to: str = TO, language: str = "nl", at: datetime = AT, device: str = "Firefox op Windows"
) -> Letter:
    """A code that was asked for at `at`."""
    return letters.code(desk, to, language, CODE, at + timedelta(minutes=10), ZONE, at, device)


def every_letter(language: str, desk: Desk = DESK) -> list[Letter]:
    """One of each kind; of those about a method, one for each method and for one without words."""
    moment = (desk, TO, language)
    return [
        code_letter(desk, language=language),
        replace(code_letter(desk, language=language, device="")),
        letters.second_factor_reset(*moment, AT, ZONE),
        letters.second_factor_reset_undone(*moment, AT, ZONE),
        *(letters.method_added(*moment, method, AT, ZONE, "Chrome") for method in ("totp", "email", "passkey")),
        *(letters.method_disabled(*moment, method, AT, ZONE) for method in ("totp", "email", "passkey")),
        letters.deadline(*moment, date(2027, 2, 1), date(2027, 1, 25)),
        letters.address_changed(*moment, AT, ZONE),
    ]
