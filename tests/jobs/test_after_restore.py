"""A11, F12: what a backup brings to life again opens nothing."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select, update

from idp.audit import chain
from idp.audit.events import DatabaseRestored, SecondFactorChecked
from idp.cli import main
from idp.factors.models import Credential, SentCode
from idp.jobs.after_restore import Restored, restored
from idp.jobs.purge_expired import purge
from idp.kernel.clock import FixedClock
from idp.oidc.client_endpoint import ClientRequest
from idp.oidc.models import AccessToken, AuthorizationCode, InitialAccessToken, RefreshFamily
from idp.outbox.models import OutboxMessage
from idp.sessions.models import Session
from idp.signin.interaction import Interaction
from tests.attacks.world import FORM, STEP, VERIFIER, World, basic, parameters
from tests.conftest import ISSUER, SECRET_KEY

NOTHING = Restored(0, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)


def restore(world: World) -> Restored:
    services = world.services
    with world.app.app_context():
        return restored(services.units, services.clock, services.trail, services.sessions)


def as_in_the_backup(world: World, *statements: Any) -> None:
    with world.writing() as unit:
        for statement in statements:
            unit.execute(statement)


def test_code_of_an_app_that_was_used_after_the_backup_is_not_accepted_again(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    used = world.code(anna)
    browser, page = world.at_code_page(client, anna)
    assert browser.submit(page, code=used).code
    as_in_the_backup(world, update(Credential).values(last_step=None))
    assert restore(world).apps == 1
    for steps in (-1, 0, 1):
        browser, page = world.at_code_page(client, anna)
        assert browser.submit(page, code=world.code(anna, steps)).prompt == "verify_second_factor"
    assert world.outcomes(SecondFactorChecked) == ["right", "used", "used", "used"]
    world.clock.move(2 * STEP)
    browser, page = world.at_code_page(client, anna)
    assert browser.submit(page, code=world.code(anna)).code


def test_a_later_step_stays_where_it_is(world: World) -> None:
    world.make.person(totp=True)
    far = int(world.clock.now().timestamp())
    as_in_the_backup(world, update(Credential).values(last_step=far))
    assert restore(world).apps == 0
    with world.reading() as unit:
        assert unit.scalars(select(Credential.last_step)).all() == [far]


def test_session_that_was_ended_after_the_backup_is_over_and_its_applications_are_told(world: World) -> None:
    client = world.make.client(backchannel_logout_uri="https://app.example/logout")
    anna = world.make.person()
    browser, page = world.sign_in(client, anna)
    assert world.redeem(client, page.code).status == 200
    assert restore(world).sessions == 1
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"
    with world.reading() as unit:
        assert unit.scalars(select(Session.end_reason)).all() == ["ended_by_administrator"]
        assert unit.scalars(select(OutboxMessage.kind)).all() == ["logout_notice"]


def test_authorization_code_that_was_redeemed_after_the_backup_is_refused(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    _, page = world.sign_in(client, anna)
    assert restore(world).codes == 1
    assert world.redeem(client, page.code).error == "invalid_grant"
    with world.reading() as unit:
        assert unit.scalars(select(AuthorizationCode.expires_at)).all() == [world.clock.now()]


def test_request_that_was_pushed_before_the_backup_opens_nothing_also_where_it_was_opened(world: World) -> None:
    client, anna, services = world.make.client(), world.make.person(), world.services
    secret = client.secret or ""
    form = ClientRequest(urlencode(parameters(client)).encode(), FORM, basic(client.client_id, secret))
    with world.app.app_context():
        request_uri = services.pushed_authorization.respond(form).body["request_uri"]
    brought = {**dict.fromkeys(parameters(client)), "client_id": client.client_id, "request_uri": request_uri}
    browser = world.browser()
    opened = browser.begin(client, **brought)
    assert restore(world).pushed_requests == 1
    assert world.browser().authorize(client, **brought).answer["error"] == "invalid_request_uri"
    again = browser.follow(browser.get(f"/s/{opened.interaction_id}/restart"))
    assert browser.submit(again, **anna.names).answer["error"] == "invalid_request_uri"


def test_client_that_was_first_used_after_the_backup_is_not_ended_as_one_that_nobody_uses(world: World) -> None:
    # The backup does not know of its first use.
    client = world.make.client(unused_until=world.clock.now() + timedelta(hours=1))
    restore(world)
    world.clock.move(timedelta(days=1))
    with world.app.app_context():
        purge(world.services.units, world.clock, timedelta(days=1))
    assert world.tokens(client, world.make.person())["access_token"]


def test_tokens_of_the_backup_are_refused_and_revoked(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    tokens = world.tokens(client, anna)
    assert world.userinfo(tokens["access_token"]) == 200
    over = restore(world)
    assert (over.refresh_tokens, over.access_tokens) == (1, 1), "they are revoked, whatever becomes of the session"
    assert world.userinfo(tokens["access_token"]) == 401
    assert world.refresh(client, tokens["refresh_token"]).error == "invalid_grant"
    with world.reading() as unit:
        assert unit.scalars(select(RefreshFamily.revoked_because)).all() == ["restored"]
        assert unit.scalars(select(AccessToken.revoked_at)).all() == [world.clock.now()]


def test_half_made_sign_in_begins_anew_with_nothing_proven(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.at_code_page(client, anna)
    assert restore(world).interactions == 1
    world.clock.move(2 * STEP)
    refused = browser.submit(page, code=world.code(anna))
    assert refused.target is None and browser.session is None
    again = browser.follow(browser.get(f"/s/{page.interaction_id}/restart"))
    assert again.prompt == "identify"
    with world.reading() as unit:
        assert unit.scalars(select(Interaction.factor_level)).all() == [None, None]


def test_code_by_mail_is_spent_and_its_mail_never_leaves(world: World) -> None:
    anna, now = world.make.person(), world.clock.now()
    later, hashes = now + timedelta(minutes=10), dict.fromkeys(("browser_hash", "address_hash", "code_hash"), b"h")
    common: dict[str, Any] = {"receiver": "x", "payload": {}, "created_at": now, "next_try_at": now}
    with world.writing() as unit:
        unit.add(
            SentCode(
                account_id=anna.id, method="email", purpose="verification", created_at=now, expires_at=later, **hashes
            )
        )
        unit.add(OutboxMessage(kind="mail", expires_at=later, **common))
        unit.add(OutboxMessage(kind="logout_notice", expires_at=later, **common))
    assert restore(world).sent_codes == 1
    with world.reading() as unit:
        assert unit.scalars(select(SentCode.used_at)).all() == [now]
        assert unit.scalars(select(OutboxMessage.expires_at).order_by(OutboxMessage.id)).all() == [now, later]


def test_what_was_over_already_is_left_alone_and_it_is_told_in_the_trail(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    world.tokens(client, anna)
    first = restore(world)
    assert first.sessions == first.refresh_tokens == first.access_tokens == first.apps == 1
    assert restore(world) == NOTHING
    told = world.events(DatabaseRestored)
    assert [event.details["ended"]["sessions"] for event in told] == [1, 0]
    with world.app.app_context():
        chain.link(world.services.units, world.services.derived_keys)
        assert chain.verify(world.services.units, [world.services.derived_keys]).why is None


# The whole drill, with a real backup and the real command


@pytest.fixture
def installed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("IDP_CONFIG", "")
    monkeypatch.setenv("IDP_MODE", "test")
    monkeypatch.setenv("IDP_ISSUER", ISSUER)
    monkeypatch.setenv("IDP_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("IDP_DATABASE__URL", database_url)
    yield Path(database_url.removeprefix("sqlite:///"))


def copy(source: Path, target: Path) -> None:
    """A backup as SQLite makes it, while the provider runs."""
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as write:
        read.backup(write)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_drill_a_backup_is_put_back_and_nothing_of_before_counts(installed: Path, world: World, tmp_path: Path) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.sign_in(client, anna)
    code, backup = world.code(anna), tmp_path / "backup.db"
    copy(installed, backup)
    assert world.redeem(client, page.code).status == 200
    another, asked = world.at_code_page(client, anna)
    assert another.submit(asked, code=code).code
    copy(backup, installed)
    result = CliRunner().invoke(main, ["--json", "db", "restored"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["sessions"], told["apps"]) == (1, 1)
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"
    assert world.redeem(client, page.code, code_verifier=VERIFIER).error == "invalid_grant"


def test_token_for_registering_that_was_used_after_the_backup_is_worth_nothing(world: World) -> None:
    with world.app.app_context():
        world.services.initial_access_tokens.add("partner", uses=1)
    assert restore(world).initial_access_tokens == 1
    with world.writing() as unit:
        assert unit.scalars(select(InitialAccessToken.revoked_at)).one() is not None
