"""A44, A45, A47, A48: finding out who exists, drowning the hashing, names that look alike, names that come back."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, select, update
from sqlalchemy.exc import IntegrityError

from idp.accounts.models import Account, KnownDevice, Organization
from idp.accounts.names import LONGEST_STORED, canonical, checked
from idp.accounts.passwords import Passwords, Verification
from idp.attempts.models import AttemptBudget
from idp.audit.events import PasswordChecked
from idp.consents.models import Consent
from idp.factors.models import Credential
from idp.kernel.errors import Refused
from idp.oidc.models import AccessToken, AuthorizationCode, RefreshFamily
from idp.sessions.models import Participation, Session
from idp.signin.answers.common import Answering
from idp.signin.interaction import Interaction
from idp.store.engine import db
from tests.attacks.world import Browser, Page, World, mutation, parameters
from tests.conftest import WEAK_HASH, is_long
from tests.factories import PASSWORD, Somebody

# A44


@dataclass
class Seen:
    """Everything that somebody outside can see of a sign-in, and the work that it took."""

    responses: list[tuple[Any, ...]] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    statements: list[int] = field(default_factory=list)


class Observer:
    """Walks through a sign-in that fails, and writes down what differs between people."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = world.make.client()
        self.statements = 0
        with world.app.app_context():
            event.listen(db.engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1

    def watch(self, organisation: str, username: str, password: str, tries: int = 7) -> Seen:
        browser, seen = self.world.browser(), Seen()
        names = {"organisation": organisation, "username": username, "password": password}

        def look(send: Callable[[], Page]) -> Page:
            hashes, statements = self.world.services.passwords.hash_calls, self.statements
            page = send()
            seen.responses.append(_shape(page, browser, names))
            seen.hashes.append(self.world.services.passwords.hash_calls - hashes)
            seen.statements.append(self.statements - statements)
            return page

        hint = f"{organisation}\\{username}"
        page = look(lambda: browser.authorize(self.client, login_hint=hint))
        look(lambda: browser.authorize(self.client, login_hint=hint, prompt="none"))
        location = page.location
        assert location is not None
        page = look(lambda: browser.get(location))
        first = page
        for _ in range(tries):
            answered = look(lambda: browser.press(first, **names))
            assert answered.location is not None
            after = answered.location
            look(lambda after=after: browser.get(after))  # type: ignore[misc]
        return seen


def _shape(page: Page, browser: Browser, names: dict[str, str]) -> tuple[Any, ...]:
    """A response without what is drawn at random, and without what the person typed."""

    def plain(text: str) -> str:
        for value in (names["username"], names["organisation"]):
            for written in {value, quote(value)}:
                text = re.sub(rf"(?<![\w-]){re.escape(written)}(?![\w-])", "TYPED", text)
        for name in ("csrf_token", "confirm"):
            text = re.sub(rf'(name="{name}" value=")[^"]*', r"\1RANDOM", text)
        text = re.sub(r"/s/[\w-]{22}", "/s/RANDOM", text)
        text = re.sub(r"\b[2-9A-Z]{4}-[2-9A-Z]{2}\b", "REQUEST", text)
        return re.sub(r"(idp_\w+=)[\w-]{43}", r"\1RANDOM", text)

    headers = tuple((name, plain(value)) for name, value in page.headers if name != "Content-Length")
    return page.status, headers, plain(page.text), sorted(browser.cookies)


def people(world: World) -> dict[str, tuple[str, str]]:
    """Organisation code and username of everybody who must look the same from outside."""
    known = world.make.organization("30234")
    world.make.organization("20234", name="De Iep")
    accounts: dict[str, dict[str, Any]] = {
        "plain": {},
        "factor": {"totp": True},
        "desk": {"role": "service_desk"},
        "blocked": {"blocked_at": world.clock.now()},
    }
    for name, values in accounts.items():
        world.make.account(known, name, **values)
    world.make.account(known, "without")
    with world.writing() as unit:
        unit.execute(update(Account).where(Account.username == "without").values(password_hash=None))
    found = {name: ("30234", name) for name in ("plain", "factor", "desk", "blocked", "without")}
    return found | {
        "unknown account": ("30234", "unknown"),
        "account of another organisation": ("20234", "plain"),
        "unknown organisation": ("99999", "plain"),
    }


def test_a44_who_exists_cannot_be_told_from_anything_that_comes_back_or_from_the_work(world: World) -> None:
    everybody, observer = people(world), Observer(world)
    expected = observer.watch("30234", "somebody-else", "een verkeerd wachtwoord")
    assert sum(expected.hashes) == 5, "after five tries nothing is hashed"
    for who, (organisation, username) in everybody.items():
        seen = observer.watch(organisation, username, "een verkeerd wachtwoord")
        assert seen.responses == expected.responses, who
        assert seen.hashes == expected.hashes, who
        assert seen.statements == expected.statements, who


def test_a44_passwords_of_every_form_are_answered_alike_for_known_and_unknown_accounts(world: World) -> None:
    everybody, observer = people(world), Observer(world)
    for password in (
        "x" * 1024,
        "x" * 1025,
        "x" * 50_000,
        "\x00",
        "wacht\udcffwoord".encode("utf-8", "replace").decode(),
    ):
        world.forget_attempts()
        known = observer.watch(*everybody["plain"], password, tries=1)
        unknown = observer.watch(*everybody["unknown account"], password, tries=1)
        assert known.responses == unknown.responses and known.hashes == unknown.hashes, password[:20]
        assert sum(known.hashes) == 1


@mutation
def test_a44_without_the_dummy_hash_the_work_would_tell(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = Passwords.verify

    def hasty(passwords: Passwords, password: str, stored_hash: str | None) -> Verification:
        return verify(passwords, password, stored_hash) if stored_hash else Verification(False, False)

    monkeypatch.setattr(Passwords, "verify", hasty)
    everybody, observer = people(world), Observer(world)
    known = observer.watch(*everybody["plain"], "verkeerd", tries=1)
    unknown = observer.watch(*everybody["unknown account"], "verkeerd", tries=1)
    assert known.hashes != unknown.hashes


@mutation
def test_a44_a_sentence_of_its_own_for_unknown_accounts_would_tell(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Answering.again

    def telling(answering: Answering, look: Any, browser: Any, *arguments: Any, **changes: Any) -> Any:
        error = {"field": "username", "key": "identify.error.empty_username", "params": {}}
        if "unknown" in str((arguments, changes)):
            return world.services.flow.record(look, browser, lambda unit, present: {"error": error})
        return plain(answering, look, browser, *arguments, **changes)

    monkeypatch.setattr(Answering, "again", telling)
    everybody, observer = people(world), Observer(world)
    known = observer.watch(*everybody["plain"], "verkeerd", tries=1)
    unknown = observer.watch(*everybody["unknown account"], "verkeerd", tries=1)
    assert known.responses != unknown.responses


def test_a44_that_an_account_is_blocked_is_told_only_after_the_right_password(world: World) -> None:
    blocked = world.make.person(username="blocked", blocked_at=world.clock.now())
    browser = world.browser()
    page = browser.submit(browser.begin(world.make.client()), **blocked.names)
    assert page.status == 403 and browser.session is None
    assert [event.details["outcome"] for event in world.events(PasswordChecked)] == ["blocked"]


# A45


class TestHashing:
    """One password is hashed at a time here, and one may wait."""

    @pytest.fixture
    def settings_values(self) -> dict[str, Any]:
        return {"passwords": {**WEAK_HASH, "concurrency": 1, "queue": 1}}

    def test_a45_a_flood_of_passwords_is_turned_away_and_the_rest_goes_on(self, world: World) -> None:
        client, anna = world.make.client(), world.make.person()
        tokens = world.tokens(client, anna)
        people = [world.make.account(1, f"flood{number}") for number in range(6)]
        passwords = world.services.passwords
        compare, entered, leave = passwords._compare, threading.Semaphore(0), threading.Event()

        def slow(stored_hash: str, octets: bytes) -> bool | None:
            entered.release()
            assert leave.wait(30)
            return compare(stored_hash, octets)

        passwords._compare = slow  # type: ignore[method-assign]
        pages = [(browser := world.browser(), browser.begin(client)) for _ in people]
        answered: list[Page] = []
        threads = [
            threading.Thread(target=lambda each=each, who=who: answered.append(each[0].press(each[1], **who.names)))
            for each, who in zip(pages, people, strict=True)
        ]
        for thread in threads:
            thread.start()
        assert entered.acquire(timeout=30)
        deadline = 300
        while len(answered) < len(people) - 2 and deadline:
            threading.Event().wait(0.1)
            deadline -= 1
        # One works and one waits; the others have their answer already.
        assert [page.status for page in answered] == [503] * (len(people) - 2)
        assert all(int(page.header("Retry-After") or 0) >= 1 for page in answered)
        assert world.browser().get("/jwks").status == 200
        assert world.userinfo(tokens["access_token"]) == 200
        assert world.refresh(client, tokens["refresh_token"]).status == 200
        leave.set()
        for thread in threads:
            thread.join(30)
        assert sorted(page.status for page in answered) == [303, 303, 503, 503, 503, 503]
        passwords._compare = compare  # type: ignore[method-assign]
        again = world.browser()
        world.forget_attempts()
        assert again.submit(again.begin(client), **anna.names).code


# A47

LOOK_ALIKE = ("anna", "ANNA", " anna ", "Anna", "ａｎｎａ", "\u00a0anna\u2003", "𝐚𝐧𝐧𝐚")
MISLEADING = (
    "an\u200bna",
    "an\u200dna",
    "anna\u00ad",
    "\u202eanna",
    "anna\u2066",
    "anna\ufe0f",
    "anna\u034f",
    "anna\U000e0100",
    "anna\u115f",
    "\u3164",
    "\uffa0",
    "\u2800",
    "anna\u17b4",
    "anna\u180b",
    "аnna",
    "annα",
    "anna.",
    "an na",
    "an\tna",
    "an\x00na",
    "anna\x7f",
    "a\\b",
    "",
    "   ",
    "x" * (LONGEST_STORED + 1),
    "\ue000",
    "\U0010ffff",
    "anna\u0378",
)


def test_a47_every_spelling_of_a_name_is_the_same_person_and_the_same_counter(world: World) -> None:
    world.make.person()
    client = world.make.client()
    for spelled in LOOK_ALIKE:
        browser = world.browser()
        page = browser.begin(client)
        browser.submit(page, organisation=" １0234", username=spelled, password="verkeerd")
    assert world.outcomes(PasswordChecked) == ["wrong"] * 5, "spelling does not buy tries"
    with world.reading() as unit:
        assert len(unit.scalars(select(AttemptBudget)).all()) == 1
    world.forget_attempts()
    for spelled in LOOK_ALIKE:
        browser = world.browser()
        page = browser.begin(client)
        assert browser.submit(page, organisation="10234", username=spelled, password=PASSWORD).code, spelled


def test_a47_a_name_that_looks_like_another_cannot_be_created(world: World) -> None:
    with world.app.app_context():
        accounts, organizations = world.services.accounts, world.services.organizations
        organizations.add("10234", "De Linde")
        accounts.add("10234", "anna")
        for spelled in LOOK_ALIKE:
            with pytest.raises(Refused):
                accounts.add("10234", spelled)
        for name in MISLEADING:
            with pytest.raises(Refused):
                accounts.add("10234", name)
            with pytest.raises(Refused):
                organizations.add(name, "De Iep")
    assert world.count(Account) == 1 and world.count(Organization) == 1


@settings(max_examples=2000 if is_long() else 100, deadline=None)
@given(st.text(max_size=300))
def test_a47_the_canonical_form_of_any_text_is_its_own_canonical_form(typed: str) -> None:
    once = canonical(typed)
    assert canonical(once) == once
    assert len(once) <= 256


def test_a47_expanding_and_folding_characters_have_one_canonical_form() -> None:
    for typed in ("ﷺ" * 256, "ß" * 200, "ﬃ" * 256, "İ" * 256, "\u0345" * 100, "a" * 255 + " b", "ΐ" * 256, "ᾳ\u0345"):
        assert canonical(canonical(typed)) == canonical(typed), ascii(typed[:3])
        assert len(canonical(typed)) <= 256


@settings(max_examples=2000 if is_long() else 100, deadline=None)
@given(st.text(max_size=40))
def test_a47_a_name_that_may_be_created_is_stored_in_its_canonical_form(name: str) -> None:
    try:
        stored = checked(name, "username")
    except Refused:
        return
    assert checked(stored, "username") == stored == canonical(name)
    assert stored.isprintable() and len(stored) <= LONGEST_STORED


def test_a47_no_spelling_of_any_parameter_breaks_the_login_page(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    for text in (
        "\x00",
        "an\x00na",
        "\u202e",
        "\ufffe",
        "\U0010ffff",
        "'\";--",
        "%",
        "x" * 300,
        "\r\nSet-Cookie: a=b",
        "{{7*7}}",
    ):
        for name in ("organisation", "username", "password", "account"):
            browser = world.browser()
            page = browser.begin(client)
            after = browser.submit(page, **{**anna.names, "password": "verkeerd", name: text})
            assert after.status in (200, 429) and browser.session is None, (name, ascii(text), after.status)
            world.forget_attempts()
        query = urlencode(parameters(client, login_hint=text))
        assert world.browser().get(f"/authorize?{query}").status == 303, ascii(text)


# A48


def test_a48_a_username_that_is_used_again_inherits_nothing(world: World) -> None:
    organisation = world.make.organization()
    client = world.make.client("vreemd", first_party=False)
    old = world.make.account(organisation, "anna", totp=True)

    def consenting(somebody: Somebody) -> Page:
        browser = world.browser()
        page = browser.submit(browser.begin(client), **somebody.names)
        if page.prompt == "verify_second_factor":
            page = browser.submit(page, code=world.code(somebody))
        return page

    browser, page = world.at_code_page(client, old)
    asked = browser.submit(page, code=world.code(old))
    tokens = world.redeem(client, browser.submit(asked, decision="allow").code).body
    with pytest.raises(IntegrityError), world.writing() as unit:
        unit.execute(delete(Account).where(Account.id == old.id))
    remove(world, old)
    new = world.make.account(organisation, "anna")
    assert new.sub != old.sub
    assert world.userinfo(tokens["access_token"]) == 401
    assert world.refresh(client, tokens["refresh_token"]).error == "invalid_grant"
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"
    assert consenting(new).prompt == "consent", "nothing the old one allowed counts, and no factor is asked for"


def remove(world: World, somebody: Somebody) -> None:
    """The account and everything that points at it are gone: without that the database keeps it."""
    with world.writing() as unit:
        of_account = (AccessToken, RefreshFamily, AuthorizationCode, Consent, Credential, Interaction, KnownDevice)
        unit.execute(delete(Participation))
        for model in of_account:
            unit.execute(delete(model).where(model.account_id == somebody.id))
        unit.execute(delete(Session).where(Session.account_id == somebody.id))
        unit.execute(delete(Account).where(Account.id == somebody.id))
