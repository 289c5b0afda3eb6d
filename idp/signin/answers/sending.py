"""Codes that travel: when one goes, to whom, and what the page knows of it.

A mail goes out on a POST only: of the password, of the chosen method, or of "send a new code". Never on a GET.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session as Unit

from idp.accounts.correspondence import Correspondence
from idp.accounts.models import Account
from idp.audit.events import CodeNotSent, CodeSent
from idp.factors.base import NotYet, Occasion, Purpose, Recipient, SecondFactor, SendsCodes
from idp.factors.models import SentCode
from idp.mail.post import MailState, Post
from idp.signin.answers.common import Answering, about
from idp.signin.outcomes import Browser, Look
from idp.texts.catalogue import LANGUAGES

RESENT = "code.notice.resent"
TOO_EARLY = "code.notice.too_early"


@dataclass(frozen=True)
class OnItsWay:
    """What the page of a code tells. `mail` is None when nothing live was sent in this browser.

    `next_at`: when the next code can be asked for, `seconds_left` from now, None when now; `limit` is why not before.
    """

    address: str
    mail: MailState | None
    valid_until: datetime | None
    next_at: datetime | None
    limit: str | None
    seconds_left: int = 0


class Sending:
    """Codes by mail, for the answers and the pages."""

    def __init__(self, answering: Answering, post: Post, correspondence: Correspondence) -> None:
        self._answering, self._post, self._correspondence = answering, post, correspondence

    def send(
        self, unit: Unit, look: Look, browser: Browser, factor: SendsCodes, purpose: Purpose, address: str
    ) -> dict[str, Any]:
        """A code is on its way, or a limit stands in the way; the notice that the page shows either way."""
        account = _account(look)
        had_one = bool(self._live(unit, look, factor, purpose))
        recipient = Recipient(
            address=address,
            language=_language(look, browser),
            time_zone=account.organization.time_zone,
            device=browser.device,
            desk=self._correspondence.desk(account.organization),
        )
        outcome = factor.send(unit, occasion(look, purpose), recipient, self._answering.clock.now())
        if isinstance(outcome, NotYet):
            event = CodeNotSent(method=factor.name, purpose=purpose, limit=outcome.limit)
            self._answering.trail.record(unit, about(look, event))
            return {"notice": TOO_EARLY if had_one else None}
        self._answering.trail.record(unit, about(look, CodeSent(method=factor.name, purpose=purpose)))
        return {"notice": RESENT if had_one else None}

    def state(self, look: Look, factor: SendsCodes, purpose: Purpose, address: str) -> OnItsWay:
        """What is known now of the codes sent on this occasion. Changes nothing."""
        with self._answering.units.reading() as unit:
            sending = factor.sending(unit, occasion(look, purpose), address, look.now)
            mail = None if sending.message_id is None else self._post.state(unit, sending.message_id)
        wait = sending.next_at - look.now if sending.next_at else timedelta(0)
        seconds_left = -(-wait // timedelta(seconds=1))
        return OnItsWay(address, mail, sending.valid_until, sending.next_at, sending.limit, seconds_left)

    def live(self, look: Look, factor: SecondFactor, purpose: Purpose) -> tuple[SentCode, ...]:
        """The codes that an answer is compared with."""
        with self._answering.units.reading() as unit:
            return self._live(unit, look, factor, purpose)

    def _live(self, unit: Unit, look: Look, factor: SecondFactor, purpose: Purpose) -> tuple[SentCode, ...]:
        return factor.live(unit, occasion(look, purpose), self._answering.clock.now())


def occasion(look: Look, purpose: Purpose) -> Occasion:
    """The account at hand, in the browser at hand."""
    return Occasion(_account(look).id, purpose, look.interaction.browser_hash)


def _account(look: Look) -> Account:
    if look.account is None:
        raise RuntimeError("a code is somebody's, and nobody is known")
    return look.account


def _language(look: Look, browser: Browser) -> str:
    """That of the page: chosen on it, asked for by the application (`ui_locales`), or asked for by the browser."""
    asked = (tag.lower().partition("-")[0] for tag in (look.request.ui_locales or "").split())
    return browser.language or next((language for language in asked if language in LANGUAGES), browser.accepts)
